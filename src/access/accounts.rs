//! People at a browser: signing in and out, and who it is that asks.
//!
//! A browser holds an opaque cookie, `mbs_…`, made anew whenever the password is given. A session ends 12 hours after it
//! was last seen, 7 days after it began, with a change of the password elsewhere, and with the last membership.

mod links;
mod members;
#[cfg(test)]
mod testing;

use std::net::IpAddr;
use std::sync::Arc;

use super::password::{self, Verdict};
use super::roles::{self, Action};
use super::signed::{self, Hash, Purpose};
use super::throttle::{Admission, Throttle};
use crate::clock::{Clock, DAY, HOUR, MINUTE, Time};
use crate::error::{Error, Kind, Result};
use crate::keyring::Keyring;
use crate::store::user::{self, Account, Membership, Role};
use crate::store::{Durability, Store, SystemTx, Tenant, browser_session, invitation};

pub use links::{invitation_link, reset_link};

const IDLE: i64 = 12 * HOUR;
const LIFE: i64 = 7 * DAY;
/// How recently the password must have been given for what hands out credentials.
const RECENT: i64 = 15 * MINUTE;

/// The accounts of one site. Functions that check or hash a password take about 30 ms of a processor.
pub struct Accounts {
    store: Arc<Store>,
    keyring: Arc<Keyring>,
    clock: Clock,
    throttle: Throttle,
}

/// A password that somebody gives.
#[derive(Clone, Copy)]
pub struct Attempt<'a> {
    /// For which account.
    pub email: &'a str,
    /// The password.
    pub password: &'a str,
    /// Where the request came from, a proxy that is trusted aside.
    pub address: IpAddr,
}

/// What came of a password that was given.
#[derive(Debug, PartialEq, Eq)]
pub struct Tried<T> {
    /// What came of it.
    pub outcome: Outcome<T>,
    /// Answer this many seconds late: the account is guessed at from everywhere.
    pub late_seconds: u64,
}

/// Whether a password was right.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome<T> {
    /// It was, and this was done.
    Done(T),
    /// It was not, or there is no such account; who guesses must not learn which.
    Wrong,
    /// It was not looked at: try again in so many seconds.
    Wait(i64),
}

/// Who is signed in, and which organisation the pages show them.
#[derive(Clone, Debug)]
pub struct Visitor {
    /// What is kept of the cookie; names the session.
    pub session: Hash,
    /// The person's number.
    pub user: i64,
    /// The person's address.
    pub email: String,
    /// The person's name.
    pub name: String,
    /// The organisation that the pages show, and the role in it.
    pub organisation: Membership,
    /// The other organisations they may choose, by slug.
    pub others: Vec<Membership>,
    /// When the password was last given.
    pub authenticated_at: Time,
}

impl Visitor {
    /// The role in the organisation that the pages show.
    pub fn role(&self) -> Role {
        self.organisation.role
    }

    /// Whether the role allows `action`.
    pub fn may(&self, action: Action) -> bool {
        roles::allows(self.role(), action)
    }

    /// Refuses what the role does not allow.
    ///
    /// # Errors
    /// `Forbidden`, with whom to ask.
    pub fn demand(&self, action: Action) -> Result<()> {
        roles::demand(self.role(), action)
    }

    /// Whether the password was given in the last 15 minutes, as making keys and the like wants.
    pub fn is_fresh(&self, now: Time) -> bool {
        now.0 - self.authenticated_at.0 <= RECENT
    }
}

impl Accounts {
    /// The accounts in `store`, their cookies and links signed with `keyring`.
    pub fn new(store: Arc<Store>, keyring: Arc<Keyring>, clock: Clock) -> Accounts {
        Accounts { store, keyring, clock, throttle: Throttle::default() }
    }

    /// Signs a browser in: what came of it is the new cookie. The session of the cookie it had ends.
    ///
    /// # Errors
    /// `Forbidden` when the password was right but the person is a member nowhere, or only where it is suspended, which
    /// nobody else learns; `Unavailable`; those of the store.
    pub fn sign_in(&self, attempt: Attempt<'_>, cookie: Option<&str>) -> Result<Tried<String>> {
        let old = cookie.and_then(|cookie| self.verified(cookie));
        self.guess(attempt)?.then(|account| {
            let memberships = self.store.read(|tx| user::memberships(tx, account.id))?;
            let Some(first) = memberships.first() else { return Err(self.nowhere(&account)) };
            self.open(account, first.tenant, old)
        })
    }

    /// Who holds `cookie`; `None` when it is none of ours or the session has ended. That it was seen is noted once a
    /// minute.
    ///
    /// # Errors
    /// Those of the store.
    pub fn visitor(&self, cookie: &str) -> Result<Option<Visitor>> {
        let (Some(hash), now) = (self.verified(cookie), self.clock.now()) else { return Ok(None) };
        let Some((session, mut memberships)) = self.store.read(|tx| look_up(tx, &hash, now))? else {
            return Ok(None);
        };
        if now.0 - session.last_seen_at.0 >= MINUTE {
            self.store.write(Durability::Process, move |tx| browser_session::touch(tx, &hash, now))?;
        }
        // Whoever left the organisation that was shown sees the next one.
        let shown = memberships.iter().position(|m| m.tenant == session.organisation).unwrap_or(0);
        if memberships.is_empty() {
            return Ok(None);
        }
        Ok(Some(Visitor {
            session: hash,
            user: session.user,
            email: session.email,
            name: session.name,
            organisation: memberships.remove(shown),
            others: memberships,
            authenticated_at: session.authenticated_at,
        }))
    }

    /// Signs the browser with this cookie out.
    ///
    /// # Errors
    /// Those of the store.
    pub fn sign_out(&self, cookie: &str) -> Result<()> {
        let Some(hash) = self.verified(cookie) else { return Ok(()) };
        self.store.write(Durability::Disk, move |tx| browser_session::end(tx, &hash))?;
        Ok(())
    }

    /// Signs every other browser of the person out; how many there were.
    ///
    /// # Errors
    /// Those of the store.
    pub fn sign_out_others(&self, visitor: &Visitor) -> Result<usize> {
        let (user, keep) = (visitor.user, visitor.session);
        self.store.write(Durability::Disk, move |tx| browser_session::end_all(tx, user, Some(&keep)))
    }

    /// Takes the password of who is signed in once more; what came of it is a new cookie, in the place of the old.
    ///
    /// # Errors
    /// `Unavailable`; those of the store.
    pub fn confirm(&self, visitor: &Visitor, password: &str, address: IpAddr) -> Result<Tried<String>> {
        let tried = self.guess(Attempt { email: &visitor.email, password, address })?;
        tried.then(|account| self.open(account, visitor.organisation.tenant, Some(visitor.session)))
    }

    /// Changes the password of who is signed in. Every other browser is signed out, apps that the person allowed are cut
    /// off; what came of it is a new cookie.
    ///
    /// # Errors
    /// `Invalid` when the new one cannot be a password; `Unavailable`; those of the store.
    pub fn change_password(
        &self,
        visitor: &Visitor,
        password: &str,
        new: &str,
        address: IpAddr,
    ) -> Result<Tried<String>> {
        password::check_form(new)?;
        let tried = self.guess(Attempt { email: &visitor.email, password, address })?;
        tried.then(|account| {
            let (hash, tenant, now) = (password::hash(new)?, visitor.organisation.tenant, self.clock.now());
            let (cookie, session) = self.cookie();
            let changed = self.store.write(Durability::Disk, move |tx| {
                if user::of(tx, account.id)?.is_none_or(|current| current.password != account.password) {
                    return Ok(false);
                }
                user::set_password(tx, account.id, &hash, now)?;
                browser_session::create(tx, &session, account.id, tenant, &hash, now)
            })?;
            Ok(if changed { Outcome::Done(cookie) } else { Outcome::Wrong })
        })
    }

    /// Shows the organisation with this slug from now on.
    ///
    /// # Errors
    /// `NotFound` when the person is no member of it; those of the store.
    pub fn choose(&self, visitor: &Visitor, slug: &str) -> Result<()> {
        let mut all = std::iter::once(&visitor.organisation).chain(&visitor.others);
        let chosen = all.find(|membership| membership.slug == slug).ok_or_else(|| {
            Error::not_found(format!(
                "You are no member of an organisation {slug:?}: choose one from the list."
            ))
        })?;
        let (session, tenant) = (visitor.session, chosen.tenant);
        self.store.write(Durability::Disk, move |tx| browser_session::choose(tx, &session, tenant))
    }

    /// Checks a password, whether the account is there or not; each attempt counts.
    fn guess(&self, attempt: Attempt<'_>) -> Result<Tried<Account>> {
        let Attempt { email, password, address } = attempt;
        let late_seconds = match self.throttle.admit(email, address, self.clock.now()) {
            Admission::Wait(seconds) => {
                return Ok(Tried { outcome: Outcome::Wait(seconds), late_seconds: 0 });
            }
            Admission::Go(seconds) => seconds,
        };
        let account = self.store.peek(|tx| user::find(tx, email))?;
        let kept = account.as_ref().and_then(|account| account.password.as_deref());
        let verdict = password::verify(kept, password)?;
        let outcome = match (account, verdict) {
            (None, _) | (_, Verdict::Wrong) => Outcome::Wrong,
            (Some(account), Verdict::Right) => Outcome::Done(account),
            (Some(account), Verdict::RightButWeak) => Outcome::Done(self.strengthen(account, password)?),
        };
        if matches!(outcome, Outcome::Done(_)) {
            self.throttle.succeeded(email, address);
        }
        Ok(Tried { outcome, late_seconds })
    }

    fn strengthen(&self, account: Account, password: &str) -> Result<Account> {
        let strong = password::hash(password)?;
        let stronger = Account { password: Some(strong.clone()), ..account.clone() };
        self.store.write(Durability::Disk, move |tx| {
            user::rehash(tx, account.id, account.password.as_deref().unwrap_or_default(), &strong)
        })?;
        Ok(stronger)
    }

    /// Opens a session for who gave the password of `account`, unless it was changed meanwhile.
    fn open(&self, account: Account, tenant: Tenant, old: Option<Hash>) -> Result<Outcome<String>> {
        let ((cookie, session), now) = (self.cookie(), self.clock.now());
        let password = account.password.unwrap_or_default();
        let opened = self.store.write(Durability::Disk, move |tx| {
            if let Some(old) = old {
                browser_session::end(tx, &old)?;
            }
            browser_session::create(tx, &session, account.id, tenant, &password, now)
        })?;
        Ok(if opened { Outcome::Done(cookie) } else { Outcome::Wrong })
    }

    /// Why there is nothing to show to a person who gave the right password.
    fn nowhere(&self, account: &Account) -> Error {
        let suspended = match self.store.read(|tx| user::suspended(tx, account.id)) {
            Ok(names) => names,
            Err(error) => return error,
        };
        let text = match suspended.as_slice() {
            [] => format!(
                "{} belongs to no organisation at the moment: ask an owner or an admin of yours for an invitation.",
                account.email
            ),
            [name] => format!("{name} is suspended; its operator can resume it."),
            names => format!("{} are suspended; their operator can resume them.", names.join(", ")),
        };
        Error::new(Kind::Forbidden, text)
    }

    fn cookie(&self) -> (String, Hash) {
        signed::generate(&self.keyring, Purpose::Browser)
    }

    fn verified(&self, cookie: &str) -> Option<Hash> {
        signed::verify(&self.keyring, Purpose::Browser, cookie)
    }
}

impl<T> Tried<T> {
    /// Goes on with `next` if the password was right.
    fn then<U>(self, next: impl FnOnce(T) -> Result<Outcome<U>>) -> Result<Tried<U>> {
        let outcome = match self.outcome {
            Outcome::Done(done) => next(done)?,
            Outcome::Wrong => Outcome::Wrong,
            Outcome::Wait(seconds) => Outcome::Wait(seconds),
        };
        Ok(Tried { outcome, late_seconds: self.late_seconds })
    }
}

/// Forgets the sessions and links that have ended; how many.
///
/// # Errors
/// Those of a write to the store.
pub fn expire(store: &Store, now: Time) -> Result<usize> {
    store.write(Durability::Process, move |tx| {
        Ok(browser_session::expire(tx, now.plus(-IDLE), now.plus(-LIFE))? + invitation::expire(tx, now)?)
    })
}

type Found = (browser_session::Session, Vec<Membership>);

fn look_up(tx: &SystemTx<'_>, hash: &Hash, now: Time) -> Result<Option<Found>> {
    let lives = |session: &browser_session::Session| {
        now.0 - session.last_seen_at.0 < IDLE && now.0 - session.created_at.0 < LIFE
    };
    let Some(session) = browser_session::find(tx, hash)?.filter(lives) else { return Ok(None) };
    let memberships = user::memberships(tx, session.user)?;
    Ok(Some((session, memberships)))
}

#[cfg(test)]
mod tests {
    use super::testing::{HERE, House, SECRET};
    use super::*;

    fn check_gone(house: &House, cookie: &str) {
        assert!(house.accounts.visitor(cookie).unwrap().is_none());
    }

    #[test]
    fn a_person_signs_in_and_out() {
        let house = House::new();
        let anna = house.member("acme", "anna@example.com", Role::Owner);
        let cookie = house.sign_in("Anna@Example.com");
        let visitor = house.visitor(&cookie);
        assert_eq!(
            (visitor.user, visitor.email.as_str(), visitor.role()),
            (anna, "anna@example.com", Role::Owner)
        );
        assert_eq!((visitor.organisation.slug.as_str(), visitor.others.len()), ("acme", 0));
        check_gone(&house, "");
        check_gone(&house, &cookie.replace("mbs_", "min_"));
        let again = Attempt { email: "anna@example.com", password: SECRET, address: HERE };
        let Outcome::Done(next) = house.accounts.sign_in(again, Some(&cookie)).unwrap().outcome else {
            panic!()
        };
        check_gone(&house, &cookie);
        house.accounts.sign_out(&next).unwrap();
        house.accounts.sign_out(&next).unwrap();
        check_gone(&house, &next);
    }

    #[test]
    fn a_person_has_a_hundred_browsers_at_most() {
        let house = House::new();
        house.member("acme", "anna@example.com", Role::Owner);
        let cookies: Vec<String> = (0..3).map(|_| house.sign_in("anna@example.com")).collect();
        let anna = house.visitor(&cookies[0]).user;
        house.clock.advance(MINUTE);
        house.visitor(&cookies[0]);
        let store = &house.accounts.store;
        let (tenant, now) = (house.visitor(&cookies[2]).organisation.tenant, house.clock.now());
        let created = store.write(Durability::Process, move |tx| {
            let password = user::of(tx, anna)?.and_then(|account| account.password).unwrap_or_default();
            (0..98u8).try_fold(true, |all, n| {
                Ok(all && browser_session::create(tx, &[n; 32], anna, tenant, &password, now)?)
            })
        });
        assert!(created.unwrap());
        house.visitor(&cookies[0]);
        let left = [0, 1, 2].map(|n| house.accounts.visitor(&cookies[n]).unwrap().is_some());
        assert_eq!((left[0], left[2], left[1]), (true, true, false), "who was not seen for longest goes");
    }

    #[test]
    fn wrong_is_wrong_whoever_is_meant() {
        let house = House::new();
        house.member("acme", "anna@example.com", Role::Owner);
        house.invite("acme", "ben@example.com", Role::Admin);
        let check = |email: &str, password: &str, expected: Outcome<String>| {
            let attempt = Attempt { email, password, address: HERE };
            assert_eq!(house.accounts.sign_in(attempt, None).unwrap().outcome, expected, "{email}");
        };
        check("anna@example.com", "not her secret", Outcome::Wrong);
        check("anna@example.com", "", Outcome::Wrong);
        check("ben@example.com", "", Outcome::Wrong);
        check("ben@example.com", SECRET, Outcome::Wrong);
        check("nobody@example.com", SECRET, Outcome::Wrong);
        for _ in 0..3 {
            check("anna@example.com", "not her secret", Outcome::Wrong);
            check("nobody@example.com", "not her secret", Outcome::Wrong);
        }
        check("nobody@example.com", "not her secret", Outcome::Wrong);
        check("anna@example.com", SECRET, Outcome::Wait(30));
        check("nobody@example.com", SECRET, Outcome::Wait(30));
        house.clock.advance(30_000);
        house.sign_in("anna@example.com");
        check("anna@example.com", "not her secret", Outcome::Wrong);
    }

    #[test]
    fn a_session_ends_idle_and_ends_at_last() {
        let house = House::new();
        house.member("acme", "anna@example.com", Role::Owner);
        let idle = house.sign_in("anna@example.com");
        house.clock.advance(12 * HOUR - 1);
        assert!(!house.visitor(&idle).is_fresh(house.clock.now()));
        house.clock.advance(12 * HOUR);
        check_gone(&house, &idle);
        let busy = house.sign_in("anna@example.com");
        assert!(house.visitor(&busy).is_fresh(house.clock.now()));
        for _ in 0..7 * 24 - 1 {
            house.clock.advance(HOUR);
            house.visitor(&busy);
        }
        house.clock.advance(HOUR);
        check_gone(&house, &busy);
        assert_eq!(expire(&house.store, house.clock.now()).unwrap(), 2);
    }

    #[test]
    fn a_session_follows_the_memberships() {
        let house = House::new();
        let anna = house.member("acme", "anna@example.com", Role::Analyst);
        house.member("acme", "owner@example.com", Role::Owner);
        house.member("beta", "anna@example.com", Role::Admin);
        house.invite("gamma", "anna@example.com", Role::Owner);
        let cookie = house.sign_in("anna@example.com");
        let check = |shown: &str, others: &[&str]| {
            let visitor = house.visitor(&cookie);
            let slugs: Vec<_> = visitor.others.iter().map(|other| other.slug.as_str()).collect();
            assert_eq!((visitor.organisation.slug.as_str(), slugs.as_slice()), (shown, others));
            visitor
        };
        let visitor = check("acme", &["beta"]);
        let refused = house.accounts.choose(&visitor, "gamma").unwrap_err();
        assert_eq!(refused.kind, Kind::NotFound);
        house.accounts.choose(&visitor, "beta").unwrap();
        check("beta", &["acme"]);
        house.suspend("beta", true);
        check("acme", &[]);
        house.suspend("beta", false);
        check("beta", &["acme"]);
        house.remove("beta", anna);
        check("acme", &[]);
        house.remove("acme", anna);
        check_gone(&house, &cookie);
        let attempt = Attempt { email: "anna@example.com", password: SECRET, address: HERE };
        assert_eq!(house.accounts.sign_in(attempt, None).unwrap_err().kind, Kind::Forbidden);
    }

    #[test]
    fn a_new_password_signs_others_out() {
        let house = House::new();
        house.member("acme", "anna@example.com", Role::Owner);
        house.member("acme", "ben@example.com", Role::Owner);
        let [laptop, phone] = [(); 2].map(|()| house.sign_in("anna@example.com"));
        let bens = house.sign_in("ben@example.com");
        let visitor = house.visitor(&laptop);
        let change =
            |password: &str, new: &str| house.accounts.change_password(&visitor, password, new, HERE);
        assert_eq!(change("not her secret", "a new secret").unwrap().outcome, Outcome::Wrong);
        assert_eq!(change(SECRET, "short").unwrap_err().kind, Kind::Invalid);
        house.visitor(&phone);
        let Outcome::Done(cookie) = change(SECRET, "a new secret").unwrap().outcome else { panic!() };
        check_gone(&house, &laptop);
        check_gone(&house, &phone);
        house.visitor(&bens);
        house.visitor(&cookie);
        let attempt = |password| Attempt { email: "anna@example.com", password, address: HERE };
        assert_eq!(house.accounts.sign_in(attempt(SECRET), None).unwrap().outcome, Outcome::Wrong);
        let signed_in = house.accounts.sign_in(attempt("a new secret"), None).unwrap();
        assert!(matches!(signed_in.outcome, Outcome::Done(_)));
        assert_eq!(house.accounts.sign_out_others(&house.visitor(&cookie)).unwrap(), 1);
        house.visitor(&cookie);
    }

    #[test]
    fn the_password_given_again_makes_a_session_fresh() {
        let house = House::new();
        house.member("acme", "anna@example.com", Role::Owner);
        let cookie = house.sign_in("anna@example.com");
        house.clock.advance(15 * MINUTE + 1);
        let visitor = house.visitor(&cookie);
        assert!(!visitor.is_fresh(house.clock.now()));
        let confirm = |password| house.accounts.confirm(&visitor, password, HERE).unwrap().outcome;
        assert_eq!(confirm("not her secret"), Outcome::Wrong);
        let Outcome::Done(next) = confirm(SECRET) else { panic!() };
        assert!(house.visitor(&next).is_fresh(house.clock.now()));
        check_gone(&house, &cookie);
    }

    #[test]
    fn a_session_is_not_opened_with_a_password_that_was_changed_meanwhile() {
        let house = House::new();
        let anna = house.member("acme", "anna@example.com", Role::Owner);
        let stale = house.store.peek(|tx| user::of(tx, anna)).unwrap().unwrap();
        let change = move |tx: &SystemTx<'_>| user::set_password(tx, anna, "another", Time(1));
        house.store.write(Durability::Disk, change).unwrap();
        let tenant = house.tenant("acme");
        assert_eq!(house.accounts.open(stale, tenant, None).unwrap(), Outcome::Wrong);
    }
}
