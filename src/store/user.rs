//! Users and their roles: one person may be a member of several organisations.

use rusqlite::params;

use super::TenantTx;
use crate::clock::Time;
use crate::error::{Error, Kind, Result};

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
    /// The address that names the person; letter case does not matter.
    pub email: String,
    /// The person's name.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// When they became a member.
    pub created_at: Time,
}

/// Makes the person with this address, if there is none yet, a member; a member gets the new role.
///
/// # Errors
/// `Invalid` for an address that is none or a name that is not 1–200 characters.
pub fn add(tx: &TenantTx<'_>, email: &str, name: &str, role: Role, now: Time) -> Result<()> {
    let (mailbox, domain) = email.rsplit_once('@').unwrap_or_default();
    let printable = email.chars().all(|c| !c.is_whitespace() && !c.is_control());
    if mailbox.is_empty() || domain.is_empty() || email.len() > 254 || !printable {
        return Err(Error::invalid(format!("{email:?} is no e-mail address such as anna@example.com.")));
    }
    if name.trim().is_empty() || name.chars().count() > 200 {
        return Err(Error::invalid("A user's name has 1 to 200 characters."));
    }
    let connection = tx.connection;
    let sql = "INSERT INTO user (email, name, created_at) VALUES (?1, ?2, ?3) ON CONFLICT (email) DO NOTHING";
    connection.execute(sql, params![email, name, now.0])?;
    let sql = "INSERT INTO member (organisation, user, role, created_at) \
               SELECT ?1, id, ?3, ?4 FROM user WHERE email = ?2 \
               ON CONFLICT (organisation, user) DO UPDATE SET role = excluded.role";
    tx.execute(sql, &[&email, &role.as_str(), &now.0])?;
    Ok(())
}

/// The members, by address.
pub fn list(tx: &TenantTx<'_>) -> Result<Vec<Member>> {
    let sql = "SELECT u.email, u.name, m.role, m.created_at FROM member m JOIN user u ON u.id = m.user \
               WHERE m.organisation = ?1 ORDER BY u.email";
    tx.all(sql, &[], |row| {
        Ok(Member {
            email: row.get(0)?,
            name: row.get(1)?,
            role: Role::parse(row.get_ref(2)?.as_str().map_err(rusqlite::Error::from)?)
                .unwrap_or(Role::Analyst),
            created_at: Time(row.get(3)?),
        })
    })
}

/// Ends a membership. The person is forgotten with the last one.
///
/// # Errors
/// `NotFound` when there is no such member; `Conflict` when it is the last owner.
pub fn remove(tx: &TenantTx<'_>, email: &str) -> Result<()> {
    let members = list(tx)?;
    let found = members.iter().find(|member| member.email.eq_ignore_ascii_case(email));
    let member = found.ok_or_else(|| {
        Error::not_found(format!("There is no member {email:?}; `chaterimo user list` shows them."))
    })?;
    let owners = members.iter().filter(|member| member.role == Role::Owner).count();
    if member.role == Role::Owner && owners == 1 && members.len() > 1 {
        return Err(Error::new(
            Kind::Conflict,
            format!("{email} is the last owner: make another member owner first."),
        ));
    }
    let sql = "DELETE FROM member WHERE organisation = ?1 AND user = (SELECT id FROM user WHERE email = ?2)";
    tx.execute(sql, &[&email])?;
    let sql = "DELETE FROM user WHERE email = ?1 AND id NOT IN (SELECT user FROM member)";
    tx.connection.execute(sql, [email])?;
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
                email: "anna@example.com".into(),
                name: "Anna".into(),
                role,
                created_at: Time(at),
            };
            assert_eq!(list(one)?, [member(Role::Admin, 1)]);
            assert_eq!(list(two)?, [member(Role::Analyst, 2)]);
            remove(one, "ANNA@example.com")?;
            assert_eq!(list(one)?, []);
            assert_eq!(list(two)?.len(), 1);
            remove(two, "anna@example.com")?;
            let left: i64 = tx.connection.query_row("SELECT count(*) FROM user", [], |row| row.get(0))?;
            assert_eq!(left, 0);
            Ok(())
        });
    }

    #[test]
    fn the_last_owner_stays_while_there_are_others() {
        check(|_, one, _| {
            add(one, "anna@example.com", "Anna", Role::Owner, Time(1))?;
            add(one, "ben@example.com", "Ben", Role::Admin, Time(1))?;
            assert_eq!(remove(one, "anna@example.com").unwrap_err().kind, Kind::Conflict);
            remove(one, "ben@example.com")?;
            remove(one, "anna@example.com")
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
}
