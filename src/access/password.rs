//! Passwords at rest: Argon2id (RFC 9106) with 19 MiB, two passes and one lane, in a PHC string. A sign-in takes as
//! long for a person who is not there as for one who is.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use argon2::{Algorithm, Argon2, Block, Params, Version};
use data_encoding::BASE64_NOPAD;

use super::signed::same;
use crate::clock::random;
use crate::error::{Error, Kind, Result};

/// Bytes of a password, at least and at most.
pub const BYTES: std::ops::RangeInclusive<usize> = 8..=1_024;
const SALT_BYTES: usize = 16;
const HASH_BYTES: usize = 32;
/// What new passwords are hashed with. Older ones are hashed again, when they are next given, once this rises.
const COST: Cost = Cost { memory_kib: 19 * 1_024, passes: 2, lanes: 1 };
/// Room for a hash's memory, in KiB. glibc keeps freed memory for the next time, unless a piece is larger than 32 MiB;
/// the pages that are not written to cost nothing.
const ROOM_KIB: usize = 33 * 1_024;
/// How many may wait for their turn; more are told to come back.
const WAITING_MAX: usize = 64;

/// What the password that was given is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Not the one, or there is none.
    Wrong,
    /// The one.
    Right,
    /// The one, but kept in a way that is weaker than today's: hash it again.
    RightButWeak,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cost {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

/// Refuses what cannot be a password.
///
/// # Errors
/// `Invalid` when it has fewer or more bytes than [`BYTES`].
pub fn check_form(password: &str) -> Result<()> {
    if BYTES.contains(&password.len()) {
        return Ok(());
    }
    Err(Error::invalid("A password has 8 to 1,024 bytes; a few words make a good one."))
}

/// A new password as it is kept: about 100 characters. Takes about 30 ms and 19 MiB.
///
/// # Errors
/// Those of [`check_form`]; `Unavailable` when too many wait to be hashed.
pub fn hash(password: &str) -> Result<String> {
    check_form(password)?;
    hash_with(COST, password)
}

/// Whether `password` is the one that `kept` was made of. Takes its time also when nothing is kept.
///
/// # Errors
/// `Unavailable` when too many wait to be hashed; `Internal` when what is kept is no such hash.
pub fn verify(kept: Option<&str>, password: &str) -> Result<Verdict> {
    // A longer text was never hashed; it is not worth more of our time than any other.
    let given = if password.len() > *BYTES.end() { "" } else { password };
    let Some(kept) = kept else {
        derive(COST, given, &[0; SALT_BYTES])?;
        return Ok(Verdict::Wrong);
    };
    let (cost, salt, expected) =
        parse(kept).ok_or_else(|| Error::internal("a password's hash is unreadable"))?;
    let found = derive(cost, given, &salt)?;
    Ok(match same(&found, &expected) {
        false => Verdict::Wrong,
        true if cost == COST => Verdict::Right,
        true => Verdict::RightButWeak,
    })
}

fn hash_with(cost: Cost, password: &str) -> Result<String> {
    let salt = random::<SALT_BYTES>();
    let hash = derive(cost, password, &salt)?;
    let Cost { memory_kib, passes, lanes } = cost;
    let (salt, hash) = (BASE64_NOPAD.encode(&salt), BASE64_NOPAD.encode(&hash));
    Ok(format!("$argon2id$v=19$m={memory_kib},t={passes},p={lanes}${salt}${hash}"))
}

fn parse(kept: &str) -> Option<(Cost, [u8; SALT_BYTES], [u8; HASH_BYTES])> {
    let mut parts = kept.strip_prefix("$argon2id$v=19$")?.split('$');
    let (costs, salt, hash) = (parts.next()?, parts.next()?, parts.next()?);
    let mut numbers = costs.split(',').zip(["m=", "t=", "p="]).map(|(part, name)| part.strip_prefix(name));
    let mut number = || numbers.next()??.parse().ok();
    let cost = Cost { memory_kib: number()?, passes: number()?, lanes: number()? };
    let decode = |text: &str| BASE64_NOPAD.decode(text.as_bytes()).ok();
    Some((cost, decode(salt)?.try_into().ok()?, decode(hash)?.try_into().ok()?))
}

fn derive(cost: Cost, password: &str, salt: &[u8; SALT_BYTES]) -> Result<[u8; HASH_BYTES]> {
    let params =
        Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(HASH_BYTES)).map_err(wrong_cost)?;
    let _turn = GATE.enter()?;
    let mut memory = Vec::with_capacity(params.block_count().max(ROOM_KIB));
    memory.resize(params.block_count(), Block::new());
    let mut hash = [0; HASH_BYTES];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into_with_memory(password.as_bytes(), salt, &mut hash, &mut memory)
        .map_err(wrong_cost)?;
    Ok(hash)
}

fn wrong_cost(cause: argon2::Error) -> Error {
    Error::internal(format!("Argon2id: {cause}"))
}

/// As many hashes at a time as there are processors: more would only need more memory.
static GATE: Gate = Gate { state: Mutex::new(Crowd { inside: 0, waiting: 0 }), left: Condvar::new() };

struct Gate {
    state: Mutex<Crowd>,
    left: Condvar,
}

struct Crowd {
    inside: usize,
    waiting: usize,
}

struct Turn;

impl Gate {
    fn enter(&self) -> Result<Turn> {
        let places = std::thread::available_parallelism().map_or(1, usize::from);
        let mut crowd = self.lock();
        if crowd.waiting >= WAITING_MAX {
            return Err(Error::new(
                Kind::Unavailable,
                "Too many people sign in at this moment: try again shortly.",
            ));
        }
        crowd.waiting += 1;
        let full = |crowd: &mut Crowd| crowd.inside >= places;
        crowd = self.left.wait_while(crowd, full).unwrap_or_else(PoisonError::into_inner);
        crowd.waiting -= 1;
        crowd.inside += 1;
        Ok(Turn)
    }

    fn lock(&self) -> MutexGuard<'_, Crowd> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        GATE.lock().inside -= 1;
        GATE.left.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_known_by_its_hash() {
        let kept = hash("correct horse").unwrap();
        assert!(kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{kept}");
        assert_ne!(hash("correct horse").unwrap(), kept, "each has a salt of its own");
        let check = |kept: Option<&str>, password: &str, expected: Verdict| {
            assert_eq!(verify(kept, password).unwrap(), expected, "{password:?}");
        };
        check(Some(&kept), "correct horse", Verdict::Right);
        check(Some(&kept), "correct horse ", Verdict::Wrong);
        check(Some(&kept), "", Verdict::Wrong);
        check(Some(&kept), &"x".repeat(1_000_000), Verdict::Wrong);
        check(None, "correct horse", Verdict::Wrong);
        check(None, "", Verdict::Wrong);
        let weak = hash_with(Cost { memory_kib: 64, ..COST }, "correct horse").unwrap();
        check(Some(&weak), "correct horse", Verdict::RightButWeak);
        check(Some(&weak), "incorrect horse", Verdict::Wrong);
    }

    #[test]
    fn only_whole_hashes_are_read() {
        let kept = hash_with(Cost { memory_kib: 64, ..COST }, "correct horse").unwrap();
        assert!(parse(&kept).is_some());
        let check = |text: &str| assert!(parse(text).is_none(), "{text}");
        check("");
        check("$argon2id$v=19$m=64,t=2,p=1$");
        check(&kept.replace("argon2id", "argon2i"));
        check(&kept.replace("t=2", "t=two"));
        check(&kept[..kept.len() - 1]);
        assert_eq!(verify(Some("plain"), "plain").unwrap_err().kind, Kind::Internal);
    }

    #[test]
    fn the_length_is_limited() {
        let check = |length: usize, fits: bool| assert_eq!(check_form(&"p".repeat(length)).is_ok(), fits);
        check(7, false);
        check(8, true);
        check(1_024, true);
        check(1_025, false);
        assert_eq!(hash("short").unwrap_err().kind, Kind::Invalid);
    }
}
