//! API keys: `cha_`, 43 base62 characters (256 bits), and 6 of their CRC-32, so that a mistyped key costs no query and
//! secret scanners know one when they see it.

use super::signed::{Hash, sha256};
use crate::clock::{Time, random};
use crate::error::Result;
use crate::store::{self, TenantTx};

const PREFIX: &str = "cha_";
const SECRET_CHARS: usize = 43;
const CHECKSUM_CHARS: usize = 6;
/// Characters of a key that are kept to tell it by.
const SHOWN_CHARS: usize = 8;
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Makes a key and keeps its hash. The key is in the answer and nowhere else.
pub fn create(tx: &TenantTx<'_>, label: &str, read_only: bool, now: Time) -> Result<(i64, String)> {
    let key = generate();
    let id = store::api_key::create(tx, &sha256(&key), &key[..SHOWN_CHARS], label, read_only, now)?;
    Ok((id, key))
}

/// The SHA-256 of what may be a key; `None` when its form or checksum is wrong.
pub fn hash_if_well_formed(text: &str) -> Option<Hash> {
    let rest = text.strip_prefix(PREFIX)?.as_bytes();
    if rest.len() != SECRET_CHARS + CHECKSUM_CHARS || !rest.iter().all(u8::is_ascii_alphanumeric) {
        return None;
    }
    let (secret, sum) = rest.split_at(SECRET_CHARS);
    (checksum(secret) == sum).then(|| sha256(text))
}

fn generate() -> String {
    let secret = base62(&random::<32>());
    let sum = checksum(&secret);
    let tail = secret.iter().chain(&sum).map(|c| char::from(*c));
    PREFIX.chars().chain(tail).collect()
}

/// A 256-bit number in base 62, padded to 43 digits, most significant first.
fn base62(bytes: &[u8; 32]) -> [u8; SECRET_CHARS] {
    let mut number = *bytes;
    let mut digits = [BASE62[0]; SECRET_CHARS];
    for digit in digits.iter_mut().rev() {
        let mut remainder = 0u32;
        for byte in &mut number {
            let value = remainder << 8 | u32::from(*byte);
            *byte = (value / 62) as u8;
            remainder = value % 62;
        }
        *digit = BASE62[remainder as usize];
    }
    digits
}

fn checksum(secret: &[u8]) -> [u8; CHECKSUM_CHARS] {
    let mut value = crc32(secret);
    let mut digits = [BASE62[0]; CHECKSUM_CHARS];
    for digit in digits.iter_mut().rev() {
        *digit = BASE62[(value % 62) as usize];
        value /= 62;
    }
    digits
}

/// CRC-32 (ISO 3309), bit by bit: 43 bytes do not want a table.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 };
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_known_by_its_form() {
        let key = generate();
        assert_eq!(key.len(), 53, "{key}");
        assert!(hash_if_well_formed(&key).is_some());
        let check = |text: &str| assert!(hash_if_well_formed(text).is_none(), "{text}");
        check("");
        check("cha_");
        check(&key[..52]);
        check(&format!("{key}0"));
        check(&key.replace("cha_", "chb_"));
        let last = if key.ends_with('0') { "1" } else { "0" };
        check(&format!("{}{last}", &key[..52]));
        check(&format!("cha_{}", "é".repeat(25)));
    }

    #[test]
    fn the_checksum_is_crc_32() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    }
}
