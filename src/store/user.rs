//! Users and their roles: one person may be a member of several organisations.

use rusqlite::{OptionalExtension as _, Row, params};

use super::{SystemTx, Tenant, TenantTx, browser_session};
use crate::clock::Time;
use crate::error::{Error, Kind, Result};

/// Bytes of an e-mail address (RFC 5321, section 4.5.3.1.3, less its brackets).
const EMAIL_BYTES_MAX: usize = 254;

/// Members of an organisation, invited ones too.
const MEMBERS_MAX: i64 = 1_000;

/// What a member may do on the dashboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Everything, members and plan too.
    Owner,
    /// Everything but members of higher rank.
    Admin,
    /// Read.
    Analyst,
}

impl Role {
    /// Every role, highest first.
    pub const ALL: [Role; 3] = [Role::Owner, Role::Admin, Role::Analyst];

    /// The role's name, in the database and for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Owner => "owner",
            Role::Admin => "admin",
            Role::Analyst => "analyst",
        }
    }

    /// The role of that name.
    pub fn parse(name: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|role| role.as_str() == name)
    }
}

/// A member of an organisation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The person, in every organisation the same number.
    pub user: i64,
    /// The address that names the person, in lower case.
    pub email: String,
    /// The person's name; while the invitation is open, the address up to the @.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// When they were invited.
    pub created_at: Time,
    /// When they took the membership up. Until then it gives them nothing.
    pub accepted_at: Option<Time>,
}

/// A person as sign-in sees them.
#[derive(Clone)]
pub struct Account {
    /// The person's number.
    pub id: i64,
    /// The address.
    pub email: String,
    /// The name.
    pub name: String,
    /// The Argon2id hash of the password, once one was chosen.
    pub password: Option<String>,
}

/// A membership as the person has it: taken up, in an organisation that is not suspended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// The right to the organisation's rows.
    pub tenant: Tenant,
    /// The organisation's name in commands and URLs.
    pub slug: String,
    /// The organisation's name for people.
    pub name: String,
    /// The IANA time zone its days are counted in.
    pub timezone: String,
    /// What the person may do there.
    pub role: Role,
}

/// Invites the person with this address, who is made if there is none: the membership counts once [`accept`] took it up.
/// Who is a member already gets the role.
///
/// # Errors
/// `Invalid` for an address that is none or a name that is not 1–200 characters; those of [`set_role`];
/// `Conflict` when there are 1,000 already.
pub fn add(tx: &TenantTx<'_>, email: &str, name: &str, role: Role, now: Time) -> Result<Member> {
    let email = checked(email, name)?;
    if let Some(member) = find_member(tx, &email)? {
        set_role(tx, member.user, role)?;
        return named(tx, &email);
    }
    if tx.number("SELECT count(*) FROM member WHERE organisation = ?1", &[])? >= MEMBERS_MAX {
        return Err(Error::new(
            Kind::Conflict,
            "An organisation has at most 1,000 members: remove some first.",
        ));
    }
    let sql = "INSERT INTO user (email, name, created_at) VALUES (?1, ?2, ?3) ON CONFLICT (email) DO NOTHING";
    tx.connection.execute(sql, params![email, name, now.0])?;
    let sql = "INSERT INTO member (organisation, user, role, created_at) \
               SELECT ?1, id, ?3, ?4 FROM user WHERE email = ?2";
    tx.execute(sql, &[&email, &role.as_str(), &now.0])?;
    named(tx, &email)
}

/// The address in lower case, so that how another organisation spelt it shows nowhere.
fn checked(email: &str, name: &str) -> Result<String> {
    let (mailbox, domain) = email.rsplit_once('@').unwrap_or_default();
    let printable = email.chars().all(|c| !c.is_whitespace() && !c.is_control());
    if mailbox.is_empty() || domain.is_empty() || email.len() > EMAIL_BYTES_MAX || !printable {
        return Err(Error::invalid(format!("{email:?} is no e-mail address such as anna@example.com.")));
    }
    if name.trim().is_empty() || name.chars().count() > 200 {
        return Err(Error::invalid("A user's name has 1 to 200 characters."));
    }
    Ok(email.to_ascii_lowercase())
}

// What a person is called elsewhere shows only once they have come in here.
const MEMBERS: &str = "SELECT u.id, u.email, \
     CASE WHEN m.accepted_at IS NULL THEN substr(u.email, 1, instr(u.email, '@') - 1) ELSE u.name END, \
     m.role, m.created_at, m.accepted_at \
     FROM member m JOIN user u ON u.id = m.user WHERE m.organisation = ?1";

/// The members and those who are invited, by address.
pub fn list(tx: &TenantTx<'_>) -> Result<Vec<Member>> {
    tx.all(&format!("{MEMBERS} ORDER BY u.email"), &[], member)
}

/// The member, or the invited person, with this address.
pub fn find_member(tx: &TenantTx<'_>, email: &str) -> Result<Option<Member>> {
    tx.first(&format!("{MEMBERS} AND u.email = ?2"), &[&email], member)
}

/// The member, or the invited person, with this address.
///
/// # Errors
/// `NotFound` when there is none.
pub fn named(tx: &TenantTx<'_>, email: &str) -> Result<Member> {
    find_member(tx, email)?.ok_or_else(|| no_member(&format!("{email:?}")))
}

/// The member, or the invited person, with this number.
///
/// # Errors
/// `NotFound` when there is none.
pub fn numbered(tx: &TenantTx<'_>, user: i64) -> Result<Member> {
    tx.first(&format!("{MEMBERS} AND u.id = ?2"), &[&user], member)?
        .ok_or_else(|| no_member(&user.to_string()))
}

fn no_member(which: &str) -> Error {
    Error::not_found(format!(
        "There is no member {which}; `chaterimo user list` and the page Members show them."
    ))
}

fn member(row: &Row<'_>) -> Result<Member> {
    Ok(Member {
        user: row.get(0)?,
        email: row.get(1)?,
        name: row.get(2)?,
        role: role(row, 3)?,
        created_at: Time(row.get(4)?),
        accepted_at: row.get::<_, Option<i64>>(5)?.map(Time),
    })
}

/// A role that this version does not know can only read.
pub(super) fn role(row: &Row<'_>, column: usize) -> rusqlite::Result<Role> {
    Ok(Role::parse(row.get_ref(column)?.as_str()?).unwrap_or(Role::Analyst))
}

/// Takes a membership up: from now on it counts. Links by which another organisation could give the person a new
/// password end.
pub fn accept(tx: &TenantTx<'_>, user: i64, now: Time) -> Result<()> {
    tx.connection.execute("DELETE FROM invitation WHERE user = ?1 AND kind = 'reset'", [user])?;
    let sql =
        "UPDATE member SET accepted_at = ?3 WHERE organisation = ?1 AND user = ?2 AND accepted_at IS NULL";
    tx.execute(sql, &[&user, &now.0])?;
    Ok(())
}

/// Gives a member another role. What apps of somebody who is an analyst from now on were allowed narrows to reading.
///
/// # Errors
/// `NotFound` when there is no such member; `Conflict` when it is the last owner.
pub fn set_role(tx: &TenantTx<'_>, user: i64, role: Role) -> Result<()> {
    let member = numbered(tx, user)?;
    if role != Role::Owner {
        keep_an_owner(tx, &member)?;
    }
    // Who made such a link may be below the new role.
    let sql = "DELETE FROM invitation WHERE organisation = ?1 AND user = ?2 AND kind = 'reset'";
    tx.execute(sql, &[&user])?;
    let sql = "UPDATE member SET role = ?3 WHERE organisation = ?1 AND user = ?2";
    tx.execute(sql, &[&user, &role.as_str()])?;
    if role == Role::Analyst {
        let sql = "UPDATE oauth_grant SET read_only = 1 \
                   WHERE organisation = ?1 AND user = ?2 AND revoked_at IS NULL";
        tx.execute(sql, &[&user])?;
    }
    Ok(())
}

/// Ends a membership, what the person allowed apps in it, and its open links. The person is forgotten with the last one.
///
/// # Errors
/// `NotFound` when there is no such member; `Conflict` when it is the last owner.
pub fn remove(tx: &TenantTx<'_>, user: i64, now: Time) -> Result<()> {
    let member = numbered(tx, user)?;
    if list(tx)?.len() > 1 {
        keep_an_owner(tx, &member)?;
    }
    let sql = "UPDATE oauth_grant SET revoked_at = ?3, revoked_why = 'removed' \
               WHERE organisation = ?1 AND user = ?2 AND revoked_at IS NULL";
    tx.execute(sql, &[&user, &now.0])?;
    tx.execute("DELETE FROM invitation WHERE organisation = ?1 AND user = ?2", &[&user])?;
    tx.execute("DELETE FROM member WHERE organisation = ?1 AND user = ?2", &[&user])?;
    let sql = "DELETE FROM user WHERE id = ?1 AND id NOT IN (SELECT user FROM member)";
    tx.connection.execute(sql, [user])?;
    Ok(())
}

fn keep_an_owner(tx: &TenantTx<'_>, leaving: &Member) -> Result<()> {
    let others = "SELECT count(*) FROM member \
                  WHERE organisation = ?1 AND user <> ?2 AND role = 'owner' AND accepted_at IS NOT NULL";
    let counts = leaving.role == Role::Owner && leaving.accepted_at.is_some();
    if counts && tx.number(others, &[&leaving.user])? == 0 {
        let text = format!("{} is the last owner: make another member owner first.", leaving.email);
        return Err(Error::new(Kind::Conflict, text));
    }
    Ok(())
}

/// Whether the person belongs to this organisation and to no other, so that its owners may give them a new password.
pub fn belongs_here_alone(tx: &TenantTx<'_>, user: i64) -> Result<bool> {
    let sql = "SELECT count(*) = 1 AND max(organisation) = ?1 FROM member WHERE user = ?2 AND accepted_at IS NOT NULL";
    Ok(tx.number(sql, &[&user])? == 1)
}

/// The person with this address.
pub fn find(tx: &SystemTx<'_>, email: &str) -> Result<Option<Account>> {
    let sql = "SELECT id, email, name, password FROM user WHERE email = ?1";
    Ok(tx.connection.prepare_cached(sql)?.query_row([email], account).optional()?)
}

/// The person with this number.
pub fn of(tx: &SystemTx<'_>, user: i64) -> Result<Option<Account>> {
    let sql = "SELECT id, email, name, password FROM user WHERE id = ?1";
    Ok(tx.connection.prepare_cached(sql)?.query_row([user], account).optional()?)
}

fn account(row: &Row<'_>) -> rusqlite::Result<Account> {
    Ok(Account { id: row.get(0)?, email: row.get(1)?, name: row.get(2)?, password: row.get(3)? })
}

/// Where the person is a member, by slug: taken up, and not suspended.
pub fn memberships(tx: &SystemTx<'_>, user: i64) -> Result<Vec<Membership>> {
    let sql = "SELECT o.id, o.slug, o.name, o.timezone, m.role \
               FROM member m JOIN organisation o ON o.id = m.organisation \
               WHERE m.user = ?1 AND m.accepted_at IS NOT NULL AND o.suspended_at IS NULL ORDER BY o.slug";
    let mut statement = tx.connection.prepare_cached(sql)?;
    let rows = statement.query_map([user], |row| {
        Ok(Membership {
            tenant: Tenant(row.get(0)?),
            slug: row.get(1)?,
            name: row.get(2)?,
            timezone: row.get(3)?,
            role: role(row, 4)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The names of the suspended organisations in which the person is a member, by slug.
pub fn suspended(tx: &SystemTx<'_>, user: i64) -> Result<Vec<String>> {
    let sql = "SELECT o.name FROM member m JOIN organisation o ON o.id = m.organisation \
               WHERE m.user = ?1 AND m.accepted_at IS NOT NULL AND o.suspended_at IS NOT NULL ORDER BY o.slug";
    let mut statement = tx.connection.prepare_cached(sql)?;
    let rows = statement.query_map([user], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Sets the hash of a password that was chosen. Every browser of the person is signed out, every app of theirs is cut
/// off, and links to choose a new password end.
pub fn set_password(tx: &SystemTx<'_>, user: i64, password: &str, now: Time) -> Result<()> {
    put_password(tx, user, password)?;
    browser_session::end_all(tx, user, None)?;
    let sql = "UPDATE oauth_grant SET revoked_at = ?2, revoked_why = 'password' \
               WHERE user = ?1 AND revoked_at IS NULL";
    tx.connection.execute(sql, [user, now.0])?;
    tx.connection.execute("DELETE FROM invitation WHERE user = ?1 AND kind = 'reset'", [user])?;
    Ok(())
}

/// Sets the hash of a password and ends nothing: for the demo's, which is a new one at each start.
pub fn put_password(tx: &SystemTx<'_>, user: i64, password: &str) -> Result<()> {
    let sql = "UPDATE user SET password = ?2 WHERE id = ?1";
    tx.connection.execute(sql, params![user, password])?;
    Ok(())
}

/// Replaces the hash `weak`, if it is still there, by a stronger one of the same password.
pub fn rehash(tx: &SystemTx<'_>, user: i64, weak: &str, strong: &str) -> Result<()> {
    let sql = "UPDATE user SET password = ?3 WHERE id = ?1 AND password = ?2";
    tx.connection.execute(sql, params![user, weak, strong])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::{Durability, Store, SystemTx, organisation};
    use super::*;

    fn check(job: impl FnOnce(&SystemTx<'_>, &TenantTx<'_>, &TenantTx<'_>) -> Result<()> + Send + 'static) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let run = move |tx: &SystemTx<'_>| {
            let make = |slug| organisation::create(tx, slug, slug, organisation::Plan::Free, Time(0));
            let (one, two) = (make("one")?.tenant, make("two")?.tenant);
            job(tx, &tx.tenant(one), &tx.tenant(two))
        };
        store.write(Durability::Process, run).unwrap();
    }

    #[test]
    fn one_person_in_two_organisations() {
        check(|tx, one, two| {
            add(one, "anna@example.com", "Anna", Role::Owner, Time(1))?;
            add(two, "Anna@Example.com", "Anna", Role::Analyst, Time(2))?;
            add(one, "anna@example.com", "Anna", Role::Admin, Time(3))?;
            let member = |role, at| Member {
                user: 1,
                email: "anna@example.com".into(),
                name: "anna".into(),
                role,
                created_at: Time(at),
                accepted_at: None,
            };
            assert_eq!(list(one)?, [member(Role::Admin, 1)]);
            assert_eq!(list(two)?, [member(Role::Analyst, 2)]);
            assert_eq!(memberships(tx, 1)?, []);
            accept(two, 1, Time(4))?;
            assert_eq!(memberships(tx, 1)?.len(), 1);
            let accepted =
                Member { name: "Anna".into(), accepted_at: Some(Time(4)), ..member(Role::Analyst, 2) };
            assert_eq!(list(two)?, [accepted]);
            assert_eq!(list(one)?, [member(Role::Admin, 1)], "her name shows only where she came in");
            remove(one, named(one, "ANNA@example.com")?.user, Time(5))?;
            assert_eq!(list(one)?, []);
            assert_eq!(list(two)?.len(), 1);
            remove(two, 1, Time(5))?;
            assert_eq!(remove(two, 1, Time(5)).unwrap_err().kind, Kind::NotFound);
            let left: i64 = tx.connection.query_row("SELECT count(*) FROM user", [], |row| row.get(0))?;
            assert_eq!(left, 0);
            Ok(())
        });
    }

    #[test]
    fn the_last_owner_stays_while_there_are_others() {
        check(|_, one, _| {
            let anna = add(one, "anna@example.com", "Anna", Role::Owner, Time(1))?.user;
            let ben = add(one, "ben@example.com", "Ben", Role::Admin, Time(1))?.user;
            let typo = add(one, "typo@example.com", "Typo", Role::Owner, Time(1))?.user;
            accept(one, anna, Time(2))?;
            let refused = |done: Result<()>| assert_eq!(done.unwrap_err().kind, Kind::Conflict);
            refused(remove(one, anna, Time(3)));
            refused(set_role(one, anna, Role::Admin));
            refused(add(one, "anna@example.com", "Anna", Role::Analyst, Time(3)).map(|_| ()));
            set_role(one, ben, Role::Owner)?;
            refused(remove(one, anna, Time(3)));
            accept(one, ben, Time(4))?;
            set_role(one, anna, Role::Admin)?;
            remove(one, anna, Time(5))?;
            remove(one, typo, Time(5))?;
            remove(one, ben, Time(5))
        });
    }

    #[test]
    fn addresses_and_names_are_checked() {
        check(|_, one, _| {
            let refused = |email: &str, name: &str| {
                assert_eq!(
                    add(one, email, name, Role::Admin, Time(1)).unwrap_err().kind,
                    Kind::Invalid,
                    "{email}"
                );
            };
            refused("anna", "Anna");
            refused("@example.com", "Anna");
            refused("anna@", "Anna");
            refused("an na@example.com", "Anna");
            refused("anna@example.com", " ");
            refused(&format!("{}@example.com", "a".repeat(250)), "Anna");
            Ok(())
        });
    }

    /// Lets an app in, in the person's name; its number.
    fn allow(tx: &TenantTx<'_>, user: i64) -> i64 {
        let id = tx.next_id("oauth_grant").unwrap();
        let sql = "INSERT INTO oauth_grant (organisation, id, user, email, client_id, client_name, client_kind, \
                   redirect_origin, endpoint, write, created_at, expires_at) \
                   VALUES (?1, ?2, ?3, '', '', '', 'registered', '', 'full', 1, 0, 100)";
        tx.execute(sql, &[&id, &user]).unwrap();
        id
    }

    /// Whether it is narrowed to reading, and why it ended.
    fn grant(tx: &TenantTx<'_>, id: i64) -> (bool, Option<String>) {
        let sql = "SELECT read_only, revoked_why FROM oauth_grant WHERE organisation = ?1 AND id = ?2";
        tx.first(sql, &[&id], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().unwrap()
    }

    #[test]
    fn apps_end_with_the_membership_and_with_the_password() {
        check(|tx, one, two| {
            let anna = add(one, "anna@example.com", "Anna", Role::Admin, Time(1))?.user;
            add(two, "anna@example.com", "Anna", Role::Admin, Time(1))?;
            let ben = add(one, "ben@example.com", "Ben", Role::Owner, Time(1))?.user;
            let (here, there, bens) = (allow(one, anna), allow(two, anna), allow(one, ben));
            set_role(one, anna, Role::Analyst)?;
            assert_eq!(grant(one, here), (true, None));
            assert_eq!(grant(two, there), (false, None));
            remove(one, anna, Time(2))?;
            assert_eq!(grant(one, here), (true, Some("removed".into())));
            assert_eq!(grant(two, there), (false, None));
            set_password(tx, anna, "hash", Time(3))?;
            assert_eq!(grant(one, here).1.as_deref(), Some("removed"), "the first reason stands");
            assert_eq!(grant(two, there).1.as_deref(), Some("password"));
            assert_eq!(grant(one, bens), (false, None));
            Ok(())
        });
    }

    #[test]
    fn suspended_organisations_are_none_of_ours() {
        check(|tx, one, two| {
            let anna = add(one, "anna@example.com", "Anna", Role::Admin, Time(1))?.user;
            add(two, "anna@example.com", "Anna", Role::Admin, Time(1))?;
            accept(one, anna, Time(2))?;
            assert!(belongs_here_alone(one, anna)? && !belongs_here_alone(two, anna)?);
            accept(two, anna, Time(2))?;
            assert!(!belongs_here_alone(one, anna)? && !belongs_here_alone(two, anna)?);
            organisation::set_suspended(tx, one.tenant(), Some(Time(3)))?;
            let slugs: Vec<_> = memberships(tx, anna)?.into_iter().map(|m| m.slug).collect();
            assert_eq!(slugs, ["two"]);
            assert!(!belongs_here_alone(two, anna)?, "a suspension may end");
            Ok(())
        });
    }
}
