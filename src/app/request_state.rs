//! `requestState`: what goes to a client along with a question and comes back with the answer (MCP 2026-07-28, "Multi
//! Round-Trip Requests"). It passes through hands that are not ours, so it is signed, and bound to what it was given for.

use crate::clock::{MINUTE, Time};
use crate::keyring::Keyring;

/// How long an answer is waited for, in milliseconds.
pub const LIFETIME: i64 = 10 * MINUTE;

/// What the keyring signs it as.
const LABEL: &str = "mrq";
/// Bytes of the time until which it holds.
const UNTIL_BYTES: usize = 8;
/// The longest state that is looked at, in bytes.
const STATE_BYTES_MAX: usize = 4_096;

/// A state that holds `payload`, for [`LIFETIME`] and for a call with the same `bound` parts alone. The client can read
/// the payload; it cannot change it.
pub fn seal(keyring: &Keyring, bound: &[&[u8]], payload: &[u8], now: Time) -> String {
    let until = now.plus(LIFETIME).0.to_be_bytes();
    keyring.seal(LABEL, bound, &[&until[..], payload].concat())
}

/// The payload of a state that [`seal`] gave for the same `bound` parts; `None` for any other, and for one that is too
/// old.
pub fn open(keyring: &Keyring, bound: &[&[u8]], state: &str, now: Time) -> Option<Vec<u8>> {
    let state = Some(state).filter(|state| state.len() <= STATE_BYTES_MAX)?;
    let signed = keyring.unseal(LABEL, bound, state)?;
    let (until, payload) = signed.split_at_checked(UNTIL_BYTES)?;
    let until = i64::from_be_bytes(until.try_into().ok()?);
    (now.0 < until).then(|| payload.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time(1_790_000_000_000);

    #[test]
    fn a_state_holds_where_and_as_long_as_it_was_meant_to() {
        let folder = tempfile::tempdir().unwrap();
        let keyring = Keyring::open(folder.path(), NOW).unwrap();
        let state = seal(&keyring, &[b"org 1", b"tool"], b"{\"v\":1}", NOW);
        let check = |bound: &[&[u8]], state: &str, now: Time, expected: Option<&[u8]>| {
            assert_eq!(open(&keyring, bound, state, now).as_deref(), expected, "{bound:?} {state} {now:?}");
        };
        check(&[b"org 1", b"tool"], &state, NOW, Some(b"{\"v\":1}"));
        check(&[b"org 1", b"tool"], &state, NOW.plus(LIFETIME - 1), Some(b"{\"v\":1}"));
        check(&[b"org 1", b"tool"], &state, NOW.plus(LIFETIME), None);
        check(&[b"org 2", b"tool"], &state, NOW, None);
        check(&[b"org 1"], &state, NOW, None);
        check(&[b"org 1tool"], &state, NOW, None);
        check(&[b"org 1", b"tool"], "", NOW, None);
        check(&[b"org 1", b"tool"], ".", NOW, None);
        check(&[b"org 1", b"tool"], &format!("{state}A"), NOW, None);
        check(&[b"org 1", b"tool"], &"x.".repeat(STATE_BYTES_MAX), NOW, None);
        for at in 0..state.len() {
            let mut bytes = state.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            check(&[b"org 1", b"tool"], &String::from_utf8(bytes).unwrap(), NOW, None);
        }
        let other = Keyring::open(tempfile::tempdir().unwrap().path(), NOW).unwrap();
        assert_eq!(open(&other, &[b"org 1", b"tool"], &state, NOW), None);
    }
}
