//! The demo: two believable stores in an empty folder, the same each time, with a year of history that ends now.
//!
//! It is made of the same records that an import takes, so that it can do nothing an operator cannot.

mod dice;
mod shops;
mod talks;
mod topics;

use data_encoding::BASE32_NOPAD;
use serde::Serialize;
use serde_json::Value;

use crate::access::{api_key, password};
use crate::clock::{DAY, Time, random};
use crate::error::{Error, Kind, Result};
use crate::import::record::{self, Record};
use crate::store::organisation::{self, Organisation, Plan};
use crate::store::user::{self, Role};
use crate::store::{Durability, Put, Store, SystemTx, TenantTx, chatbot, training_job};
use shops::{SHOPS, Shop};

/// Fresh credentials of the demo. Serialised, they are a part of the line that `serve --json` prints.
#[derive(Serialize)]
pub struct Keys {
    /// Reads and changes the first organisation, which has no quota limits.
    pub api_key: String,
    /// Reads the same.
    pub readonly_api_key: String,
    /// Reads and changes the second organisation, which is on the Free plan.
    pub free_api_key: String,
    /// The address of an owner of the first organisation.
    pub owner_email: &'static str,
    /// That owner's password.
    pub owner_password: String,
    /// The address of an analyst of the first organisation.
    pub analyst_email: &'static str,
    /// That analyst's password.
    pub analyst_password: String,
}

const PEOPLE: [(&str, &str, Role); 2] = [
    ("owner@demo.example", "Olivia Owner", Role::Owner),
    ("analyst@demo.example", "Andy Analyst", Role::Analyst),
];

/// Fills an empty database with the demo, or finds it there, and makes fresh keys and passwords; earlier keys, and
/// browsers that are signed in, stay valid. All of it is one transaction.
///
/// # Errors
/// `Conflict` when the database holds other organisations.
pub fn prepare(store: &Store, now: Time) -> Result<Keys> {
    let passwords = PEOPLE.map(|_| password());
    let hashes = [password::hash(&passwords[0])?, password::hash(&passwords[1])?];
    store.write(Durability::Disk, move |tx| {
        refuse_other_data(tx)?;
        let mut organisations = Vec::new();
        for shop in SHOPS {
            organisations.push(match organisation::find(tx, shop.slug)? {
                Some(found) => found,
                None => fill(tx, shop, now)?,
            });
        }
        // So that those of different starts can be told from each other.
        let started = now.timestamp().strftime("%Y-%m-%d %H:%M UTC");
        let key = |shop: usize, what: &str, read_only: bool| {
            let (organisation, label): (&Organisation, _) =
                (&organisations[shop], format!("{what} of {started}"));
            Ok::<_, Error>(api_key::create(&tx.tenant(organisation.tenant), &label, read_only, now)?.1)
        };
        for ((email, name, role), hash) in PEOPLE.into_iter().zip(&hashes) {
            let here = tx.tenant(organisations[0].tenant);
            let person = user::add(&here, email, name, role, now)?.user;
            user::put_password(tx, person, hash)?;
            user::accept(&here, person, now)?;
        }
        let [owner_password, analyst_password] = passwords;
        Ok(Keys {
            api_key: key(0, "demo", false)?,
            readonly_api_key: key(0, "demo, read-only", true)?,
            free_api_key: key(1, "demo, Free plan", false)?,
            owner_email: PEOPLE[0].0,
            owner_password,
            analyst_email: PEOPLE[1].0,
            analyst_password,
        })
    })
}

/// Twenty letters and digits: 100 bits.
fn password() -> String {
    BASE32_NOPAD.encode(&random::<13>()).to_lowercase().split_off(1)
}

/// Whether the demo has an organisation of that slug; no other may take it.
pub fn is_demo(slug: &str) -> bool {
    SHOPS.iter().any(|shop| shop.slug == slug)
}

fn refuse_other_data(tx: &SystemTx<'_>) -> Result<()> {
    match organisation::list(tx)?.into_iter().find(|organisation| !is_demo(&organisation.slug)) {
        None => Ok(()),
        Some(other) => Err(Error::new(
            Kind::Conflict,
            format!(
                "This data folder holds the organisation {:?}, and a demo is not mixed with other data: name an empty \
                 folder with --data-dir, or leave --demo out.",
                other.slug
            ),
        )),
    }
}

fn fill(tx: &SystemTx<'_>, shop: &Shop, now: Time) -> Result<Organisation> {
    let made = organisation::create(tx, shop.slug, shop.name, Plan::Free, now)?;
    if shop.unlimited {
        organisation::set_plan(tx, made.tenant, Plan::Paid, Some(None), Some(None))?;
    }
    let tx = &tx.tenant(made.tenant);
    fill_shop(tx, shop, now)?;
    Ok(made)
}

fn fill_shop(tx: &TenantTx<'_>, shop: &Shop, now: Time) -> Result<()> {
    let put = |record: Value, at: Time| put(tx, record, at);
    let opened = now.plus(-DAY * 400);
    for record in shop.chatbot_records() {
        put(shop.as_it_began(record.clone()), opened)?;
        put(record, now.plus(-DAY * 90))?;
    }
    for (place, record) in shop.product_records().enumerate() {
        put(record, now.plus(-DAY * (3 + 7 * place as i64)))?;
    }
    for record in shop.document_records() {
        put(record, now.plus(-DAY * 60))?;
    }
    for record in shop.rule_records() {
        put(record, opened)?;
    }
    talks::records(shop, now, |record| put(record, now).map(|_| ()))?;
    // The server begins by training them, as it would after an import.
    for id in 1..=chatbot::count(tx)? {
        training_job::request(tx, id, 0, "demo", now)?;
    }
    Ok(())
}

fn put(tx: &TenantTx<'_>, record: Value, at: Time) -> Result<Put> {
    let record: Record = serde_json::from_value(record).map_err(Error::internal)?;
    record::put(tx, &record, at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::password::Verdict;

    #[test]
    fn every_chatbot_has_a_model_of_the_catalogue() {
        for shop in SHOPS {
            for record in shop.chatbot_records() {
                let model = record["settings"]["model"].as_str().unwrap();
                assert_eq!(crate::models::find(model, &[]), Some(model));
            }
        }
    }

    const NOW: Time = Time(1_795_334_400_000);

    #[test]
    fn fills_an_empty_folder_once_and_makes_fresh_keys() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let first = prepare(&store, NOW).unwrap();
        let count = |store: &Store| {
            let organisation = store.peek(|tx| organisation::named(tx, "demo")).unwrap();
            let count = |tx: &SystemTx<'_>| {
                let tx = tx.tenant(organisation.tenant);
                Ok((chatbot::count(&tx)?, crate::store::api_key::list(&tx)?.len()))
            };
            store.read(count).unwrap()
        };
        assert_eq!(count(&store), (5, 2));
        let second = prepare(&store, NOW.plus(DAY)).unwrap();
        assert_eq!(count(&store), (5, 4));
        assert_ne!(first.api_key, second.api_key);
        let labels = |tx: &SystemTx<'_>| {
            let keys = crate::store::api_key::list(&tx.tenant(organisation::named(tx, "demo")?.tenant))?;
            Ok(keys.into_iter().map(|key| key.label).collect::<std::collections::BTreeSet<_>>())
        };
        assert_eq!(store.read(labels).unwrap().len(), 4, "each start has labels of its own");
        let keyring = crate::keyring::Keyring::open(folder.path(), NOW).unwrap();
        for key in [&first.api_key, &second.api_key, &first.free_api_key] {
            assert!(crate::access::authenticate(&store, &keyring, key, NOW).unwrap().is_some());
        }
        check_person(&store, "owner@demo.example", &second.owner_password, &first.owner_password);
        check_person(&store, "analyst@demo.example", &second.analyst_password, &first.analyst_password);
    }

    fn check_person(store: &Store, email: &str, password: &str, earlier: &str) {
        let kept = store.peek(|tx| user::find(tx, email)).unwrap().unwrap();
        let check = |given: &str, expected| {
            assert_eq!(password::verify(kept.password.as_deref(), given).unwrap(), expected);
        };
        check(password, Verdict::Right);
        check(earlier, Verdict::Wrong);
        let role = store.peek(|tx| user::memberships(tx, kept.id)).unwrap()[0].role;
        assert!(email.starts_with(role.as_str()));
    }

    #[test]
    fn other_data_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        store
            .write(Durability::Disk, |tx| organisation::create(tx, "acme", "Acme", Plan::Paid, NOW))
            .unwrap();
        let error = prepare(&store, NOW).err().unwrap();
        assert_eq!(error.kind, Kind::Conflict);
        assert!(error.public.contains("\"acme\""), "{error}");
    }
}
