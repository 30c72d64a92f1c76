//! Links that work once: whoever holds one takes a membership up, or chooses a new password.
//!
//! An address is not proven by an account: anybody's admin may have made one for it and know its password. So what gives
//! access to an organisation is the link that this organisation handed out, together with the password.

use std::net::IpAddr;

use super::{Accounts, Attempt, Outcome, Tried, password};
use crate::access::signed::{self, Hash};
use crate::clock::{DAY, Time};
use crate::error::{Error, Result};
use crate::keyring::Keyring;
use crate::store::invitation::{self, Link, Purpose};
use crate::store::{Durability, SystemTx, TenantTx, browser_session, user};

const INVITATION_LIFE: i64 = 7 * DAY;
const RESET_LIFE: i64 = DAY;

/// Makes the link by which an invited person comes in, as a path below the public URL; it works for 7 days, and earlier
/// ones no longer.
///
/// # Errors
/// Those of the store.
pub fn invitation_link(tx: &TenantTx<'_>, keyring: &Keyring, user: i64, now: Time) -> Result<String> {
    let token = create(tx, keyring, user, Purpose::Invitation, now, INVITATION_LIFE)?;
    Ok(format!("/invitation/{token}"))
}

/// Makes the link by which a member chooses a new password, as a path below the public URL; it works for a day, and
/// earlier ones no longer.
///
/// # Errors
/// Those of the store.
pub fn reset_link(tx: &TenantTx<'_>, keyring: &Keyring, user: i64, now: Time) -> Result<String> {
    let token = create(tx, keyring, user, Purpose::Reset, now, RESET_LIFE)?;
    Ok(format!("/reset/{token}"))
}

fn create(
    tx: &TenantTx<'_>,
    keyring: &Keyring,
    user: i64,
    purpose: Purpose,
    now: Time,
    life: i64,
) -> Result<String> {
    let (token, hash) = signed::generate(keyring, signed::Purpose::Invitation);
    invitation::create(tx, &hash, user, purpose, now, now.plus(life))?;
    Ok(token)
}

impl Accounts {
    /// What the link with this token is for.
    ///
    /// # Errors
    /// `NotFound` when it does not work, or no longer; those of the store.
    pub fn link(&self, token: &str, purpose: Purpose) -> Result<Link> {
        Ok(self.found(token, purpose)?.1)
    }

    /// Takes a membership up and signs the browser in; what came of it is the cookie. A person without a password
    /// chooses this one, a person with one must give it.
    ///
    /// # Errors
    /// `NotFound` as for [`Accounts::link`]; `Invalid` when what was chosen cannot be a password; `Unavailable`.
    pub fn take_up(&self, token: &str, password: &str, address: IpAddr) -> Result<Tried<String>> {
        let (hash, link) = self.found(token, Purpose::Invitation)?;
        if link.password.is_some() {
            let tried = self.guess(Attempt { email: &link.email, password, address })?;
            return tried.then(|account| self.come_in(hash, account.password.unwrap_or_default(), false));
        }
        let chosen = password::hash(password)?;
        Ok(Tried { outcome: self.come_in(hash, chosen, true)?, late_seconds: 0 })
    }

    /// Chooses a new password and signs the browser in: the answer is the cookie. Every other browser is signed out,
    /// apps that the person allowed are cut off.
    ///
    /// # Errors
    /// `NotFound` as for [`Accounts::link`]; `Invalid` when it cannot be a password; `Unavailable`.
    pub fn reset(&self, token: &str, new: &str) -> Result<String> {
        let (hash, _) = self.found(token, Purpose::Reset)?;
        let (password, now) = (password::hash(new)?, self.clock.now());
        let (cookie, session) = self.cookie();
        self.store.write(Durability::Disk, move |tx| {
            let link = working(tx, &hash, Purpose::Reset, now)?;
            user::set_password(tx, link.user, &password, now)?;
            browser_session::create(tx, &session, link.user, link.tenant, &password, now)
        })?;
        Ok(cookie)
    }

    /// Takes the membership of a link up. What was found before is looked at again: the person may have chosen or
    /// changed a password, or used the link, a moment ago.
    fn come_in(&self, hash: Hash, password: String, chosen: bool) -> Result<Outcome<String>> {
        let ((cookie, session), now) = (self.cookie(), self.clock.now());
        let came = self.store.write(Durability::Disk, move |tx| {
            let link = working(tx, &hash, Purpose::Invitation, now)?;
            if chosen && link.password.is_none() {
                user::set_password(tx, link.user, &password, now)?;
            }
            if !browser_session::create(tx, &session, link.user, link.tenant, &password, now)? {
                return Ok(false);
            }
            user::accept(&tx.tenant(link.tenant), link.user, now)?;
            invitation::end(tx, &hash)?;
            Ok(true)
        })?;
        Ok(if came { Outcome::Done(cookie) } else { Outcome::Wrong })
    }

    fn found(&self, token: &str, purpose: Purpose) -> Result<(Hash, Link)> {
        let hash = signed::verify(&self.keyring, signed::Purpose::Invitation, token).ok_or_else(void)?;
        let now = self.clock.now();
        let link = self.store.peek(|tx| working(tx, &hash, purpose, now))?;
        Ok((hash, link))
    }
}

fn working(tx: &SystemTx<'_>, hash: &Hash, purpose: Purpose, now: Time) -> Result<Link> {
    invitation::find(tx, hash, purpose, now)?.ok_or_else(void)
}

fn void() -> Error {
    Error::not_found(
        "This link does not work, or no longer: it was used, it has expired, or a newer one was made. Ask whoever sent \
         it for a new one.",
    )
}

#[cfg(test)]
mod tests {
    use super::super::testing::{HERE, House, SECRET};
    use super::*;
    use crate::clock::HOUR;
    use crate::error::Kind;
    use crate::store::user::Role;

    fn done(tried: Result<Tried<String>>) -> String {
        match tried.unwrap().outcome {
            Outcome::Done(cookie) => cookie,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_invited_person_chooses_a_password_once() {
        let house = House::new();
        let token = house.invite("acme", "anna@example.com", Role::Owner);
        let link = house.accounts.link(&token, Purpose::Invitation).unwrap();
        assert_eq!((link.email.as_str(), link.organisation.as_str()), ("anna@example.com", "acme"));
        assert!(house.accounts.link(&token, Purpose::Reset).is_err(), "it is for something else");
        let short = house.accounts.take_up(&token, "short", HERE).unwrap_err();
        assert_eq!(short.kind, Kind::Invalid);
        let cookie = done(house.accounts.take_up(&token, SECRET, HERE));
        assert_eq!(house.visitor(&cookie).role(), Role::Owner);
        let again = house.accounts.take_up(&token, SECRET, HERE).unwrap_err();
        assert_eq!(again.kind, Kind::NotFound);
        house.sign_in("anna@example.com");
    }

    #[test]
    fn a_person_with_a_password_must_give_it() {
        let house = House::new();
        house.member("acme", "anna@example.com", Role::Owner);
        let token = house.invite("beta", "anna@example.com", Role::Analyst);
        let take_up = |password: &str| house.accounts.take_up(&token, password, HERE);
        assert_eq!(take_up("chosen by another").unwrap().outcome, Outcome::Wrong);
        let visitor = house.visitor(&house.sign_in("anna@example.com"));
        assert_eq!(visitor.others, [], "an open invitation gives nothing");
        let visitor = house.visitor(&done(take_up(SECRET)));
        assert_eq!((visitor.organisation.slug.as_str(), visitor.others.len()), ("beta", 1));
    }

    #[test]
    fn an_account_made_for_another_s_address_does_not_get_in_where_that_address_is_invited() {
        let house = House::new();
        let bait = house.invite("evil", "anna@example.com", Role::Analyst);
        let invitation = house.invite("acme", "anna@example.com", Role::Owner);
        let attacker = done(house.accounts.take_up(&bait, "known to the attacker", HERE));
        let visitor = house.visitor(&attacker);
        assert_eq!((visitor.organisation.slug.as_str(), visitor.others.len()), ("evil", 0));
        assert_eq!(house.accounts.take_up(&invitation, SECRET, HERE).unwrap().outcome, Outcome::Wrong);
        // The operator helps: the person chooses a password, and the attacker is out.
        let reset = house.reset("evil", "anna@example.com");
        house.accounts.reset(&reset, SECRET).unwrap();
        assert!(house.accounts.visitor(&attacker).unwrap().is_none());
        assert_eq!(house.visitor(&done(house.accounts.take_up(&invitation, SECRET, HERE))).others.len(), 1);
    }

    #[test]
    fn a_link_to_a_new_password_works_once_and_signs_everybody_out() {
        let house = House::new();
        house.member("acme", "anna@example.com", Role::Owner);
        let cookie = house.sign_in("anna@example.com");
        let old = house.reset("acme", "anna@example.com");
        let token = house.reset("acme", "anna@example.com");
        let check = |token: &str, new: &str, kind: Kind| {
            assert_eq!(house.accounts.reset(token, new).unwrap_err().kind, kind);
        };
        check(&old, "a new secret", Kind::NotFound);
        check(&token, "short", Kind::Invalid);
        check("min_forged", "a new secret", Kind::NotFound);
        house.visitor(&cookie);
        let next = house.accounts.reset(&token, "a new secret").unwrap();
        assert!(house.accounts.visitor(&cookie).unwrap().is_none());
        house.visitor(&next);
        check(&token, "a new secret", Kind::NotFound);
    }

    #[test]
    fn links_end() {
        let house = House::new();
        house.member("acme", "anna@example.com", Role::Owner);
        let (invitation, reset) =
            (house.invite("acme", "ben@example.com", Role::Admin), house.reset("acme", "anna@example.com"));
        let works = |token: &str, purpose| house.accounts.link(token, purpose).is_ok();
        house.clock.advance(24 * HOUR - 1);
        assert!(works(&reset, Purpose::Reset) && works(&invitation, Purpose::Invitation));
        house.suspend("acme", true);
        assert!(!works(&invitation, Purpose::Invitation));
        house.suspend("acme", false);
        house.clock.advance(1);
        assert!(!works(&reset, Purpose::Reset) && works(&invitation, Purpose::Invitation));
        house.clock.advance(6 * DAY);
        assert!(!works(&invitation, Purpose::Invitation));
        // A membership elsewhere, or another role, ends what an admin may have made before.
        let reset = house.reset("acme", "anna@example.com");
        house.invite("beta", "anna@example.com", Role::Owner);
        house.invite("beta", "anna@example.com", Role::Admin);
        assert!(works(&reset, Purpose::Reset), "an open invitation elsewhere changes nothing");
        house.member("acme", "ben@example.com", Role::Owner);
        house.invite("acme", "anna@example.com", Role::Admin);
        assert!(!works(&reset, Purpose::Reset));
        let reset = house.reset("acme", "anna@example.com");
        let elsewhere = house.invite("beta", "anna@example.com", Role::Analyst);
        assert!(works(&reset, Purpose::Reset));
        done(house.accounts.take_up(&elsewhere, SECRET, HERE));
        assert!(!works(&reset, Purpose::Reset));
    }
}
