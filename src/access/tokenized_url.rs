//! Tokenized URLs, `/mcp/t/<token>/`: for clients that can send no header. A path is seen by more eyes than a header
//! is, so server and organisation must both turn them on, they only read unless their maker says otherwise, they expire,
//! and they can be held to addresses.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use super::signed::{self, Purpose};
use super::{Grant, Stale};
use crate::clock::{DAY, Time};
use crate::config::Network;
use crate::error::{Error, Result};
use crate::keyring::Keyring;
use crate::store::tokenized_url::{self, New};
use crate::store::{Store, TenantTx};

/// Days that a URL may hold.
pub const DAYS: RangeInclusive<u32> = 1..=366;

/// What a new URL is to be.
pub struct Wanted {
    /// What its maker calls it.
    pub label: String,
    /// Whether it can only read.
    pub read_only: bool,
    /// From where it may be used; empty for everywhere.
    pub networks: Vec<Network>,
    /// How many [`DAYS`] it holds.
    pub days: u32,
}

/// Makes a URL and keeps the hash of its token. The token, about 75 characters that stand in a
/// path as they are, is in the answer and nowhere else.
///
/// # Errors
/// `Invalid` for days outside [`DAYS`], and what [`tokenized_url::create`] refuses.
pub fn create(tx: &TenantTx<'_>, keyring: &Keyring, wanted: Wanted, now: Time) -> Result<(i64, String)> {
    let Wanted { label, read_only, networks, days } = wanted;
    if !DAYS.contains(&days) {
        return Err(Error::invalid(format!(
            "days: came {days}; a URL holds for {} to {} days.",
            DAYS.start(),
            DAYS.end()
        )));
    }
    let (token, hash) = signed::generate(keyring, Purpose::Url);
    let new = New { label, read_only, networks, expires_at: now.plus(i64::from(days) * DAY) };
    Ok((tokenized_url::create(tx, &hash, &new, now)?, token))
}

/// The grant that a token stands for when it comes from `client`; `None` when it stands for nothing (there).
///
/// # Errors
/// Those of the store. A token that we have not made costs no query.
pub fn authenticate(
    store: &Store,
    keyring: &Keyring,
    token: &str,
    client: IpAddr,
    now: Time,
) -> Result<Option<Grant>> {
    let Some(hash) = signed::verify(keyring, Purpose::Url, token) else { return Ok(None) };
    let Some(holder) = store.peek(|tx| tokenized_url::authenticate(tx, &hash, now))? else { return Ok(None) };
    if !holder.networks.is_empty() && !holder.networks.iter().any(|network| network.contains(client)) {
        return Ok(None);
    }
    Ok(Some(Grant {
        tenant: holder.tenant,
        credential: format!("url:{}", holder.url),
        actor: format!("tokenized URL {} ({})", holder.url, holder.label),
        audience: None,
        read_only: holder.read_only,
        may_widen: false,
        chatbots: None,
        redact: holder.redact,
        expires_at: Some(holder.expires_at),
        stale: holder.stale.then_some(Stale::Url(holder.url)),
        noted: Default::default(),
        unused: None,
    }))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::MINUTE;
    use crate::store::Durability;
    use crate::store::call_log;
    use crate::store::organisation::{self, Plan};

    const NOW: Time = Time(1_795_334_400_000);
    const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7));

    struct House {
        store: Store,
        keyring: Arc<Keyring>,
        tenant: crate::store::Tenant,
        _folder: tempfile::TempDir,
    }

    impl House {
        fn new() -> House {
            let folder = tempfile::tempdir().unwrap();
            let store = Store::open(folder.path()).unwrap();
            let keyring = Arc::new(Keyring::open(folder.path(), NOW).unwrap());
            let made = store.write(Durability::Process, |tx| {
                let tenant = organisation::create(tx, "acme", "Acme", Plan::Paid, NOW)?.tenant;
                organisation::set_tokenized_urls(tx, tenant, true)?;
                Ok(tenant)
            });
            House { store, keyring, tenant: made.unwrap(), _folder: folder }
        }

        fn make(&self, networks: &[&str], days: u32) -> Result<(i64, String)> {
            let networks = networks.iter().map(|text| Network::parse(text).unwrap()).collect();
            let (tenant, keyring) = (self.tenant, Arc::clone(&self.keyring));
            self.store.write(Durability::Process, move |tx| {
                let label = "test".into();
                let wanted = Wanted { label, read_only: true, networks, days };
                create(&tx.tenant(tenant), &keyring, wanted, NOW)
            })
        }

        fn change(
            &self,
            job: impl FnOnce(&crate::store::SystemTx<'_>, crate::store::Tenant) -> Result<()> + Send + 'static,
        ) {
            let tenant = self.tenant;
            self.store.write(Durability::Process, move |tx| job(tx, tenant)).unwrap();
        }

        fn ask(&self, token: &str, client: IpAddr, now: Time) -> Option<Grant> {
            authenticate(&self.store, &self.keyring, token, client, now).unwrap()
        }
    }

    #[test]
    fn a_token_holds_until_it_expires_or_is_revoked() {
        let house = House::new();
        let (id, token) = house.make(&[], 90).unwrap();
        let grant = house.ask(&token, HOME, NOW).unwrap();
        assert_eq!((grant.credential.as_str(), grant.read_only), ("url:1", true));
        let in_words = call_log::credential;
        let named = house.store.read(|tx| in_words(&tx.tenant(house.tenant), &grant.credential)).unwrap();
        assert_eq!(named.kind, "Tokenized URL");
        assert!(house.ask(&token, HOME, NOW.plus(90 * DAY - 1)).is_some());
        assert!(house.ask(&token, HOME, NOW.plus(90 * DAY)).is_none());
        let other = signed::generate(&house.keyring, Purpose::Url).0;
        for wrong in ["", "chu_", &token[..token.len() - 1], &token.to_uppercase(), &other] {
            assert!(house.ask(wrong, HOME, NOW).is_none(), "{wrong}");
        }
        house.change(move |tx, tenant| tokenized_url::revoke(&tx.tenant(tenant), id, NOW));
        assert!(house.ask(&token, HOME, NOW).is_none());
    }

    #[test]
    fn its_organisation_decides() {
        let house = House::new();
        let (_, token) = house.make(&[], 1).unwrap();
        let check = |expected: bool| assert_eq!(house.ask(&token, HOME, NOW).is_some(), expected);
        house.change(|tx, tenant| organisation::set_tokenized_urls(tx, tenant, false));
        check(false);
        house.change(|tx, tenant| organisation::set_tokenized_urls(tx, tenant, true));
        check(true);
        house.change(|tx, tenant| organisation::set_suspended(tx, tenant, Some(NOW)));
        check(false);
    }

    #[test]
    fn it_is_held_to_its_networks() {
        let house = House::new();
        let (_, token) = house.make(&["192.0.2.0/28", "2001:db8::/32"], 1).unwrap();
        let check = |client: &str, expected: bool| {
            assert_eq!(house.ask(&token, client.parse().unwrap(), NOW).is_some(), expected, "{client}");
        };
        check("192.0.2.7", true);
        check("::ffff:192.0.2.7", true);
        check("192.0.2.16", false);
        check("2001:db8::1", true);
        check("::1", false);
    }

    #[test]
    fn its_days_are_bounded() {
        let house = House::new();
        for (days, expected) in [(0, false), (1, true), (366, true), (367, false)] {
            assert_eq!(house.make(&[], days).is_ok(), expected, "{days}");
        }
    }

    #[test]
    fn its_last_use_is_noted_once_a_minute() {
        let house = House::new();
        let (_, token) = house.make(&[], 1).unwrap();
        let tenant = house.tenant;
        let used =
            || house.store.read(|tx| Ok(tokenized_url::list(&tx.tenant(tenant))?[0].last_used_at)).unwrap();
        assert_eq!(used(), None);
        for (moment, expected) in [(0, 0), (MINUTE - 1, 0), (MINUTE, MINUTE)] {
            let (grant, now) = (house.ask(&token, HOME, NOW.plus(moment)).unwrap(), NOW.plus(moment));
            if let Some(stale) = grant.stale {
                house.change(move |tx, tenant| stale.note(tx, tenant, now));
            }
            assert_eq!(used(), Some(NOW.plus(expected)), "{moment}");
        }
    }
}
