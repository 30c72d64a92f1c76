use super::*;
use crate::access::{Grants, Sessions, Stale};
use crate::clock::HOUR;
use crate::error::Kind;
use crate::store::call_log;
use crate::store::oauth_grant::{self, NewGrant};
use crate::store::oauth_token::NewToken;
use crate::store::organisation::{self, Plan};
use crate::store::{SystemTx, Tenant, TenantTx, testing, user};

const NOW: Time = Time(1_795_000_000_000);

/// A database with one organisation, a member of it, and what they allowed an app.
struct House {
    /// Deleted with the house.
    _folder: tempfile::TempDir,
    store: Store,
    keyring: Keyring,
    tenant: Tenant,
    user: i64,
    grant: i64,
}

impl House {
    fn new() -> House {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let keyring = Keyring::open(folder.path(), NOW).unwrap();
        let made = store.write(Durability::Process, |tx| {
            let tenant = organisation::create(tx, "acme", "Acme", Plan::Paid, NOW)?.tenant;
            let user = testing::member(&tx.tenant(tenant), "anna@example.com", "owner")?;
            let new = NewGrant {
                user,
                client_id: "https://claude.ai/oauth/client".into(),
                client_name: "Claude".into(),
                client_kind: "document",
                redirect_origin: "http://localhost:1234".into(),
                endpoint: "full",
                write: true,
                chatbots: None,
                expires_at: NOW.plus(2 * HOUR),
            };
            Ok((tenant, user, oauth_grant::create(&tx.tenant(tenant), &new, NOW)?))
        });
        let (tenant, user, grant) = made.unwrap();
        House { _folder: folder, store, keyring, tenant, user, grant }
    }

    fn change(&self, job: impl FnOnce(&SystemTx<'_>, &TenantTx<'_>) -> Result<()> + Send + 'static) {
        let tenant = self.tenant;
        self.store.write(Durability::Process, move |tx| job(tx, &tx.tenant(tenant))).unwrap();
    }

    fn token(&self, kind: oauth_token::Kind, write: bool) -> String {
        let purpose = if kind == oauth_token::Kind::Access { Purpose::Access } else { Purpose::Refresh };
        let (text, hash) = signed::generate(&self.keyring, purpose);
        let (grant, expires_at) = (self.grant, NOW.plus(HOUR));
        let token = NewToken { hash, kind, generation: 0, write, expires_at };
        self.change(move |_, tx| oauth_token::create(tx, grant, &token, NOW));
        text
    }

    fn ask(&self, token: &str, now: Time) -> Option<Grant> {
        super::super::authenticate(&self.store, &self.keyring, token, now).unwrap()
    }
}

#[test]
fn a_token_stands_for_what_was_allowed() {
    let house = House::new();
    let token = house.token(oauth_token::Kind::Access, true);
    let found = house.ask(&token, NOW).unwrap();
    assert_eq!((found.tenant, found.credential.as_str()), (house.tenant, "grant:1"));
    let named = house.store.read(|tx| call_log::credential(&tx.tenant(house.tenant), &found.credential));
    assert_eq!(named.unwrap().kind, "App");
    assert_eq!(found.actor, "Claude for anna@example.com (app 1)");
    assert_eq!((found.audience, found.read_only, found.may_widen), (Some(Endpoint::Full), false, false));
    assert_eq!((found.expires_at, found.stale), (Some(NOW.plus(HOUR)), Some(Stale::App(1))));
    note_first_use(&house.store, found.unused.unwrap(), NOW).unwrap();
    let again = house.ask(&token, NOW).unwrap();
    assert_eq!((again.unused, again.stale), (None, None));
    let narrow = house.ask(&house.token(oauth_token::Kind::Access, false), NOW).unwrap();
    assert!(narrow.read_only && narrow.may_widen);
}

#[test]
fn a_token_ends_with_what_it_rests_on() {
    let check = |change: fn(&SystemTx<'_>, &TenantTx<'_>, i64) -> Result<()>, after: i64, expected: bool| {
        let house = House::new();
        let token = house.token(oauth_token::Kind::Access, true);
        let user = house.user;
        house.change(move |tx, tenant| change(tx, tenant, user));
        assert_eq!(house.ask(&token, NOW.plus(after)).is_some(), expected);
    };
    check(|_, _, _| Ok(()), 0, true);
    check(|_, _, _| Ok(()), HOUR - 1, true);
    check(|_, _, _| Ok(()), HOUR, false);
    check(|_, tenant, _| oauth_grant::revoke(tenant, 1, "member", NOW), 0, false);
    check(|tx, tenant, _| organisation::set_suspended(tx, tenant.tenant(), Some(NOW)), 0, false);
    check(|_, tenant, user| testing::end_membership(tenant, user), 0, false);
    check(|_, tenant, user| testing::reopen_invitation(tenant, user), 0, false);
    check(|tx, _, user| user::set_password(tx, user, "hash", NOW), 0, false);
    check(|_, tenant, user| user::remove(tenant, user, NOW), 0, false);
    check(|_, tenant, _| oauth_grant::begin(tenant, 1, NOW.plus(1_000)), 1_000, false);
}

#[test]
fn what_was_narrowed_is_narrow_at_once() {
    let house = House::new();
    let token = house.token(oauth_token::Kind::Access, true);
    let reach = || {
        let grant = house.ask(&token, NOW).unwrap();
        (grant.read_only, grant.may_widen, grant.chatbots.map(|chatbots| chatbots.to_vec()))
    };
    assert_eq!(reach(), (false, false, None));
    house.change(|_, tx| oauth_grant::narrow(tx, 1, false, Some(&[1, 2]), NOW));
    assert_eq!(reach(), (false, false, Some(vec![1, 2])));
    house.change(|_, tx| oauth_grant::narrow(tx, 1, true, Some(&[2, 3]), NOW));
    assert_eq!(reach(), (true, true, Some(vec![2])));
    house.change(|_, tx| oauth_grant::narrow(tx, 1, false, None, NOW));
    assert_eq!(reach(), (true, true, Some(vec![2])), "nothing widens");
    house.change(|_, tx| testing::member(tx, "anna@example.com", "analyst").map(|_| ()));
    assert_eq!(reach(), (true, false, Some(vec![2])), "an analyst cannot allow more");
    let missing = house.store.write(Durability::Process, {
        let tenant = house.tenant;
        move |tx| oauth_grant::narrow(&tx.tenant(tenant), 7, true, None, NOW)
    });
    assert_eq!(missing.unwrap_err().kind, Kind::NotFound);
}

#[test]
fn an_analysts_token_reads() {
    let house = House::new();
    let token = house.token(oauth_token::Kind::Access, true);
    house.change(|_, tx| testing::member(tx, "anna@example.com", "analyst").map(|_| ()));
    let grant = house.ask(&token, NOW).unwrap();
    assert!(grant.read_only && !grant.may_widen);
}

#[test]
fn what_is_no_access_token_costs_no_query() {
    let house = House::new();
    let token = house.token(oauth_token::Kind::Access, true);
    let refresh = house.token(oauth_token::Kind::Refresh, true);
    let other = Keyring::open(tempfile::tempdir().unwrap().path(), NOW).unwrap();
    let (foreign, _) = signed::generate(&other, Purpose::Access);
    assert!(house.ask(&refresh, NOW).is_none());
    // Without its table a query would fail; what is refused before is refused all the same.
    house.change(|_, tx| testing::drop_table(tx, "oauth_token"));
    let ask = |token: &str| super::super::authenticate(&house.store, &house.keyring, token, NOW);
    assert!(ask(&token).is_err());
    for forged in
        [&refresh, &foreign, &token[..token.len() - 1], "mat_", "mat_x_y", &token.replace("mat_", "mrt_")]
    {
        assert!(ask(forged).unwrap().is_none(), "{forged}");
    }
}

#[test]
fn what_is_kept_of_a_token_ends_at_its_time() {
    let house = House::new();
    let token = house.token(oauth_token::Kind::Access, true);
    let grants = Grants::default();
    let ask = |now| grants.authenticate(&house.store, &house.keyring, &token, now).unwrap().is_some();
    assert!(ask(NOW) && ask(NOW.plus(HOUR - 1)));
    assert!(!ask(NOW.plus(HOUR)));
}

#[test]
fn a_session_goes_on_with_the_next_token() {
    let house = House::new();
    let grant = |write| house.ask(&house.token(oauth_token::Kind::Access, write), NOW).unwrap();
    let (first, second) = (grant(true), grant(false));
    let at = |grant, endpoint| {
        let (store, keyring) = (&house.store, &house.keyring);
        Sessions { store, keyring, grant, endpoint, now: NOW }
    };
    let id = at(&first, Endpoint::Full).open("peer".into()).unwrap();
    assert_eq!(at(&second, Endpoint::Full).find(&id).unwrap().as_deref(), Some("peer"));
}
