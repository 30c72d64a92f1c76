//! How often passwords may be guessed. In memory, bounded, and never a lock that another could close on somebody: an
//! account waits only where the wrong guesses came from; elsewhere it is slower at the most.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};

use super::signed::{self, sha256};
use crate::clock::{DAY, HOUR, MINUTE, SECOND, Time};

/// Guesses at an account from one network before it must wait.
const PAIR_FREE: u32 = 5;
const PAIR_WAIT: i64 = 30 * SECOND;
const PAIR_WAIT_MAX: i64 = 15 * MINUTE;
/// Guesses from one address in an hour.
const ADDRESS_MAX: u32 = 100;
/// Guesses at an account in a day, from everywhere, before each is answered late.
const ACCOUNT_MAX: u32 = 50;
const ACCOUNT_DELAY_SECONDS: u64 = 3;
/// Wrong tokens in URLs from one address in a minute that are answered like any path that is not there.
const TOKENS_MAX: u32 = 10;
/// Entries of each kind that are kept.
const KEPT_MAX: usize = 10_000;

/// The guesses of late.
#[derive(Default)]
pub struct Throttle(Mutex<Tables>);

/// The wrong tokens of late in tokenized URLs.
#[derive(Default)]
pub struct WrongTokens(Mutex<HashMap<IpAddr, Count>>);

impl WrongTokens {
    /// Counts a wrong token from `address`; the seconds to wait, once there were more than ten in a minute. A right one
    /// need not wait: nobody comes upon one by trying.
    pub fn count(&self, address: IpAddr, now: Time) -> Option<i64> {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let minute = count(&mut table, network(address, 32), now, MINUTE);
        minute.guesses = minute.guesses.saturating_add(1);
        (minute.guesses > TOKENS_MAX).then(|| seconds(minute.end, now))
    }
}

/// What an attempt may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Try, but answer this many seconds late.
    Go(u64),
    /// Try again in so many seconds.
    Wait(i64),
}

#[derive(Default)]
struct Tables {
    pairs: HashMap<(signed::Hash, IpAddr), Count>,
    addresses: HashMap<IpAddr, Count>,
    accounts: HashMap<signed::Hash, Count>,
}

#[derive(Clone, Copy)]
struct Count {
    guesses: u32,
    /// Until when there is nothing to try.
    wait: Time,
    /// When it is all forgotten.
    end: Time,
}

impl Throttle {
    /// Counts an attempt at the account `email` from `address` as a wrong guess, until [`Throttle::succeeded`] says
    /// otherwise: so many attempts at once count as many. One that must wait is not counted.
    pub fn admit(&self, email: &str, address: IpAddr, now: Time) -> Admission {
        let (account, pair) = keys(email, address);
        let mut tables = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let address = network(address, 32);
        let hour = count(&mut tables.addresses, address, now, HOUR);
        if hour.guesses >= ADDRESS_MAX {
            return Admission::Wait(seconds(hour.end, now));
        }
        let here = count(&mut tables.pairs, pair, now, DAY);
        if here.wait > now {
            return Admission::Wait(seconds(here.wait, now));
        }
        here.guesses += 1;
        (here.wait, here.end) = (now.plus(wait_after(here.guesses)), now.plus(DAY));
        let day = count(&mut tables.accounts, account, now, DAY);
        day.guesses = day.guesses.saturating_add(1);
        let delay = if day.guesses > ACCOUNT_MAX { ACCOUNT_DELAY_SECONDS } else { 0 };
        count(&mut tables.addresses, address, now, HOUR).guesses += 1;
        Admission::Go(delay)
    }

    /// Takes back what an attempt counted at the account, for it was right; other networks' guesses stay counted.
    pub fn succeeded(&self, email: &str, address: IpAddr) {
        let (account, pair) = keys(email, address);
        let mut tables = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tables.pairs.remove(&pair);
        if let Some(day) = tables.accounts.get_mut(&account) {
            day.guesses = day.guesses.saturating_sub(1);
        }
    }
}

/// How long to wait after so many guesses: nothing, then 30 s, doubling up to 15 minutes.
fn wait_after(guesses: u32) -> i64 {
    let Some(doublings) = guesses.checked_sub(PAIR_FREE) else { return 0 };
    (PAIR_WAIT << doublings.min(10)).min(PAIR_WAIT_MAX)
}

fn keys(email: &str, address: IpAddr) -> (signed::Hash, (signed::Hash, IpAddr)) {
    let account = sha256(&email.to_ascii_lowercase());
    (account, (account, network(address, 24)))
}

/// The network that an address is of: the first `bits` of an IPv4 address, and of an IPv6 one, of which each subscriber has
/// a whole /64, the first 64.
pub fn network(address: IpAddr, bits: u32) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => Ipv4Addr::from_bits(v4.to_bits() & (u32::MAX << (32 - bits))).into(),
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64)).into(),
    }
}

/// The count of `key`, from nothing when there is none or it has ended.
fn count<K: Hash + Eq + Copy>(table: &mut HashMap<K, Count>, key: K, now: Time, length: i64) -> &mut Count {
    if table.len() >= KEPT_MAX && !table.contains_key(&key) {
        make_room(table, now);
    }
    let fresh = Count { guesses: 0, wait: now, end: now.plus(length) };
    let count = table.entry(key).or_insert(fresh);
    if count.end <= now {
        *count = fresh;
    }
    count
}

/// Drops what has ended or, if that is nothing, what ends first.
fn make_room<K: Hash + Eq + Copy>(table: &mut HashMap<K, Count>, now: Time) {
    table.retain(|_, count| count.end > now);
    if table.len() >= KEPT_MAX {
        let first = table.iter().min_by_key(|(_, count)| count.end).map(|(key, _)| *key);
        first.and_then(|key| table.remove(&key));
    }
}

fn seconds(until: Time, now: Time) -> i64 {
    (until.0 - now.0 + SECOND - 1) / SECOND
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Time = Time(1_795_000_000_000);

    fn at(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn guesses_at_an_account_from_one_network_wait_longer_and_longer() {
        let (throttle, mut now) = (Throttle::default(), START);
        let check = |email: &str, address: &str, now: Time, expected: Admission| {
            assert_eq!(throttle.admit(email, at(address), now), expected, "{email} {address}");
        };
        for _ in 0..5 {
            check("anna@example.com", "192.0.2.1", now, Admission::Go(0));
        }
        check("anna@example.com", "192.0.2.1", now, Admission::Wait(30));
        check("ANNA@example.com", "192.0.2.200", now, Admission::Wait(30));
        check("anna@example.com", "::ffff:192.0.2.9", now, Admission::Wait(30));
        check("anna@example.com", "192.0.3.1", now, Admission::Go(0));
        check("ben@example.com", "192.0.2.1", now, Admission::Go(0));
        for wait in [60, 120, 240, 480, 900, 900, 900] {
            now = now.plus(15 * MINUTE);
            check("anna@example.com", "192.0.2.1", now, Admission::Go(0));
            check("anna@example.com", "192.0.2.1", now.plus(500), Admission::Wait(wait));
        }
        throttle.succeeded("anna@example.com", at("192.0.2.77"));
        check("anna@example.com", "192.0.2.1", now, Admission::Go(0));
    }

    #[test]
    fn an_ipv6_network_is_the_first_64_bits() {
        let throttle = Throttle::default();
        for host in 1..=5 {
            throttle.admit("anna@example.com", at(&format!("2001:db8:1:2::{host}")), START);
        }
        let ask = |address: &str| throttle.admit("anna@example.com", at(address), START);
        assert_eq!(ask("2001:db8:1:2:3::1"), Admission::Wait(30));
        assert_eq!(ask("2001:db8:1:3::1"), Admission::Go(0));
    }

    #[test]
    fn one_address_has_a_hundred_guesses_an_hour() {
        let throttle = Throttle::default();
        let guess = |n: u32, now| throttle.admit(&format!("{n}@example.com"), at("192.0.2.1"), now);
        for n in 0..100 {
            assert_eq!(guess(n, START), Admission::Go(0));
        }
        assert_eq!(guess(100, START.plus(MINUTE)), Admission::Wait(59 * 60));
        throttle.succeeded("1@example.com", at("192.0.2.1"));
        assert_eq!(
            guess(101, START.plus(MINUTE)),
            Admission::Wait(59 * 60),
            "a success elsewhere helps nobody"
        );
        assert_eq!(guess(102, START.plus(HOUR)), Admission::Go(0));
        assert_eq!(throttle.admit("1@example.com", at("192.0.2.2"), START), Admission::Go(0));
    }

    #[test]
    fn an_account_guessed_at_from_everywhere_is_slow_but_open() {
        let throttle = Throttle::default();
        let guess = |n: u32, now| throttle.admit("anna@example.com", at(&format!("10.0.{n}.1")), now);
        for n in 0..50 {
            assert_eq!(guess(n, START), Admission::Go(0));
        }
        assert_eq!(guess(50, START), Admission::Go(3));
        assert_eq!(guess(51, START.plus(DAY)), Admission::Go(0));
    }

    #[test]
    fn an_address_has_ten_wrong_tokens_a_minute() {
        let tokens = WrongTokens::default();
        let check = |address: &str, now: Time, expected: Option<i64>| {
            assert_eq!(tokens.count(at(address), now), expected, "{address}");
        };
        for _ in 0..10 {
            check("192.0.2.1", START, None);
        }
        check("192.0.2.1", START, Some(60));
        check("::ffff:192.0.2.1", START.plus(MINUTE - 1), Some(1));
        check("192.0.2.2", START, None);
        check("192.0.2.1", START.plus(MINUTE), None);
    }

    #[test]
    fn memory_is_bounded() {
        let throttle = Throttle::default();
        for n in 0..10_200u32 {
            let address = IpAddr::V4(Ipv4Addr::from_bits(n << 8));
            throttle.admit(&format!("{n}@example.com"), address, START.plus(i64::from(n)));
        }
        let tables = throttle.0.lock().unwrap();
        assert_eq!(
            (tables.pairs.len(), tables.addresses.len(), tables.accounts.len()),
            (KEPT_MAX, KEPT_MAX, KEPT_MAX)
        );
    }
}
