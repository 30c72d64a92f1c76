//! What owners and admins do about members. Nobody reaches above their own role, and nobody reaches a person who belongs
//! to another organisation too: their password is not one organisation's to change.

use std::sync::Arc;

use super::{Accounts, Visitor, invitation_link, reset_link};
use crate::access::roles::{self, Action};
use crate::error::{Error, Kind, Result};
use crate::store::user::{self, Member, Role};
use crate::store::{Durability, TenantTx};

impl Accounts {
    /// The members of the visitor's organisation, and those who are invited.
    ///
    /// # Errors
    /// `Forbidden`; those of the store.
    pub fn members(&self, by: &Visitor) -> Result<Vec<Member>> {
        by.demand(Action::See)?;
        self.store.read(|tx| user::list(&tx.tenant(by.organisation.tenant)))
    }

    /// Invites a person, or an invited one again with this role; answers the link as a path below the public URL.
    ///
    /// # Errors
    /// `Forbidden` when the role is above the visitor's; `Conflict` for a member; `Invalid` for what is no address.
    pub fn invite(&self, by: &Visitor, email: &str, role: Role) -> Result<String> {
        demand_reach(by, role)?;
        let (keyring, email, now) = (Arc::clone(&self.keyring), email.to_owned(), self.clock.now());
        let name = email.split('@').next().unwrap_or_default().to_owned();
        let visitor = by.clone();
        self.write(by, move |tx| {
            if let Some(member) = user::find_member(tx, &email)? {
                demand_reach(&visitor, member.role)?;
                if member.accepted_at.is_some() {
                    let text = format!("{} is a member already: change the role in the list.", member.email);
                    return Err(Error::new(Kind::Conflict, text));
                }
            }
            let member = user::add(tx, &email, &name, role, now)?;
            invitation_link(tx, &keyring, member.user, now)
        })
    }

    /// Gives a member another role.
    ///
    /// # Errors
    /// `Forbidden` when their role or the new one is above the visitor's; `NotFound`; `Conflict` for the last owner.
    pub fn set_role(&self, by: &Visitor, user: i64, role: Role) -> Result<()> {
        demand_reach(by, role)?;
        let visitor = by.clone();
        self.write(by, move |tx| {
            demand_reach(&visitor, user::numbered(tx, user)?.role)?;
            user::set_role(tx, user, role)
        })
    }

    /// Ends a membership: the person's apps and browsers lose this organisation at once.
    ///
    /// # Errors
    /// `Forbidden` when their role is above the visitor's; `NotFound`; `Conflict` for the last owner.
    pub fn remove(&self, by: &Visitor, user: i64) -> Result<()> {
        let (visitor, now) = (by.clone(), self.clock.now());
        self.write(by, move |tx| {
            demand_reach(&visitor, user::numbered(tx, user)?.role)?;
            user::remove(tx, user, now)
        })
    }

    /// Makes a link by which a member chooses a new password, as a path below the public URL.
    ///
    /// # Errors
    /// `Forbidden` when their role is above the visitor's, or they belong to another organisation too; `Conflict` while
    /// they are only invited; `NotFound`.
    pub fn reset_link(&self, by: &Visitor, user: i64) -> Result<String> {
        let (visitor, keyring, now) = (by.clone(), Arc::clone(&self.keyring), self.clock.now());
        self.write(by, move |tx| {
            let member = user::numbered(tx, user)?;
            demand_reach(&visitor, member.role)?;
            if member.accepted_at.is_none() {
                let text = format!("{} has not come in yet: invite them again instead.", member.email);
                return Err(Error::new(Kind::Conflict, text));
            }
            if !user::belongs_here_alone(tx, user)? {
                let text = format!(
                    "{} belongs to another organisation too, so only the operator of this server can do this, with \
                     `chaterimo user reset-password`.",
                    member.email
                );
                return Err(Error::new(Kind::Forbidden, text));
            }
            reset_link(tx, &keyring, user, now)
        })
    }

    /// Runs `job` in the visitor's organisation, if the role allows it and is still the one that they had when they asked.
    fn write<T: Send + 'static>(
        &self,
        by: &Visitor,
        job: impl FnOnce(&TenantTx<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        by.demand(Action::ManageMembers)?;
        let (tenant, user, role) = (by.organisation.tenant, by.user, by.role());
        self.store.write(Durability::Disk, move |tx| {
            let here = tx.tenant(tenant);
            match user::numbered(&here, user)?.role == role {
                true => job(&here),
                false => Err(Error::new(
                    Kind::Forbidden,
                    "Your role was changed a moment ago: reload the page and look what you may do.",
                )),
            }
        })
    }
}

fn demand_reach(by: &Visitor, subject: Role) -> Result<()> {
    by.demand(Action::ManageMembers)?;
    if roles::reaches(by.role(), subject) {
        return Ok(());
    }
    let (own, other) = (roles::with_article(by.role()), subject.as_str());
    Err(Error::new(
        Kind::Forbidden,
        format!("You are {own}, and this concerns the role {other}: ask an owner."),
    ))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{HERE, House, SECRET};
    use super::*;

    /// What a member of `role` gets when they try things on a member of `subject`.
    fn check(role: Role, subject: Role, expected: Option<Kind>) {
        let house = House::new();
        house.member("acme", "first@example.com", Role::Owner);
        house.member("acme", "actor@example.com", role);
        let person = house.member("acme", "person@example.com", subject);
        let by = house.visitor(&house.sign_in("actor@example.com"));
        let same =
            |done: Result<()>| assert_eq!(done.err().map(|e| e.kind), expected, "{role:?} {subject:?}");
        same(house.accounts.reset_link(&by, person).map(|_| ()));
        same(house.accounts.invite(&by, "new@example.com", subject).map(|_| ()));
        same(house.accounts.invite(&by, "new@example.com", subject).map(|_| ()));
        same(house.accounts.set_role(&by, person, Role::Analyst));
        same(house.accounts.set_role(&by, house.member("acme", "x@example.com", Role::Analyst), subject));
        same(house.accounts.remove(&by, house.member("acme", "y@example.com", subject)));
    }

    #[test]
    fn a_role_counts_as_it_is_now() {
        let house = House::new();
        house.member("acme", "first@example.com", Role::Owner);
        let admin = house.member("acme", "actor@example.com", Role::Admin);
        let first = house.visitor(&house.sign_in("first@example.com"));
        let by = house.visitor(&house.sign_in("actor@example.com"));
        house.accounts.set_role(&first, admin, Role::Analyst).unwrap();
        let late = house.accounts.invite(&by, "new@example.com", Role::Admin);
        assert_eq!(late.unwrap_err().kind, Kind::Forbidden, "who asked before the role was taken away");
    }

    #[test]
    fn nobody_reaches_above_their_role() {
        check(Role::Owner, Role::Owner, None);
        check(Role::Owner, Role::Analyst, None);
        check(Role::Admin, Role::Owner, Some(Kind::Forbidden));
        check(Role::Admin, Role::Admin, None);
        check(Role::Analyst, Role::Analyst, Some(Kind::Forbidden));
        check(Role::Analyst, Role::Owner, Some(Kind::Forbidden));
    }

    #[test]
    fn nobody_reaches_into_another_organisation() {
        let house = House::new();
        house.member("acme", "owner@example.com", Role::Owner);
        let anna = house.member("beta", "anna@example.com", Role::Owner);
        let by = house.visitor(&house.sign_in("owner@example.com"));
        let kind = |done: Result<()>| done.unwrap_err().kind;
        let accounts = &house.accounts;
        assert_eq!(kind(accounts.reset_link(&by, anna).map(|_| ())), Kind::NotFound);
        assert_eq!(kind(accounts.set_role(&by, anna, Role::Analyst)), Kind::NotFound);
        assert_eq!(kind(accounts.remove(&by, anna)), Kind::NotFound);
        // Inviting her does not help, nor does holding the link: it wants her password.
        let path = accounts.invite(&by, "anna@example.com", Role::Analyst).unwrap();
        assert_eq!(kind(accounts.reset_link(&by, anna).map(|_| ())), Kind::Conflict);
        let tried = accounts.take_up(path.strip_prefix("/invitation/").unwrap(), "chosen by another", HERE);
        assert_eq!(tried.unwrap().outcome, super::super::Outcome::Wrong);
        accounts.take_up(path.strip_prefix("/invitation/").unwrap(), SECRET, HERE).unwrap();
        assert_eq!(kind(accounts.reset_link(&by, anna).map(|_| ())), Kind::Forbidden);
        let names: Vec<_> = accounts.members(&by).unwrap().into_iter().map(|m| m.email).collect();
        assert_eq!(names, ["anna@example.com", "owner@example.com"]);
        let again = accounts.invite(&by, "anna@example.com", Role::Analyst).unwrap_err();
        assert_eq!(again.kind, Kind::Conflict);
        accounts.remove(&by, anna).unwrap();
        assert_eq!(house.visitor(&house.sign_in("anna@example.com")).organisation.slug, "beta");
    }
}
