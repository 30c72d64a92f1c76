//! The keyring: the HMAC keys that sign session ids, cursors and tokens. A file beside the database, never in it, so
//! that who steals the database can forge nothing.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

use data_encoding::HEXLOWER;
use ring::hmac;
use serde::{Deserialize, Serialize};

use crate::clock::{Time, random};
use crate::error::{Error, Result};

/// The keyring's name in the data folder.
pub const KEYRING_FILE: &str = "keyring.json";
/// Bytes of a key.
const KEY_BYTES: usize = 32;

/// One key as the file has it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    /// Its name, 1–16 letters and digits; stands in what it signed.
    kid: String,
    /// 32 bytes or more, in hexadecimal.
    key: String,
    created_at: Time,
    /// Whether new things are signed with it; all keys verify.
    sign: bool,
}

/// The keys, ready for use.
#[derive(Clone)]
pub struct Keyring {
    keys: Vec<(String, hmac::Key)>,
    /// Which of them signs.
    signing: usize,
}

/// A signature: which key made it, and its 32 bytes.
pub struct Signature<'a> {
    /// The key's name.
    pub kid: &'a str,
    /// HMAC-SHA-256.
    pub tag: [u8; 32],
}

impl Keyring {
    /// Reads the keyring in `folder`, making one (0600) with a fresh key when there is none.
    ///
    /// # Errors
    /// `Config` when the file cannot be read, is readable by others, or holds a key shorter than 32 bytes.
    pub fn open(folder: &Path, now: Time) -> Result<Keyring> {
        let path = folder.join(KEYRING_FILE);
        match create(&path, now) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(Error::config(format!(
                    "The keyring {} cannot be made: {error}.",
                    path.display()
                )));
            }
            _ => {}
        }
        check_permissions(&path)?;
        let refuse = |cause: String| {
            Error::config(format!(
                "The keyring {} cannot be used: {cause}. Restore it from a backup; without it, sessions and tokens given out before are void.",
                path.display()
            ))
        };
        let text = fs::read_to_string(&path).map_err(|cause| refuse(cause.to_string()))?;
        let entries: Vec<Entry> = serde_json::from_str(&text).map_err(|cause| refuse(cause.to_string()))?;
        Keyring::from_entries(&entries).map_err(refuse)
    }

    fn from_entries(entries: &[Entry]) -> Result<Keyring, String> {
        let mut keys = Vec::new();
        for entry in entries {
            let named =
                (1..=16).contains(&entry.kid.len()) && entry.kid.bytes().all(|c| c.is_ascii_alphanumeric());
            let bytes =
                HEXLOWER.decode(entry.key.as_bytes()).map_err(|_| "a key is not hexadecimal".to_owned())?;
            if !named || bytes.len() < KEY_BYTES {
                return Err(format!(
                    "key {:?} needs a name of letters and digits and at least 32 bytes",
                    entry.kid
                ));
            }
            keys.push((entry.kid.clone(), hmac::Key::new(hmac::HMAC_SHA256, &bytes)));
        }
        let signing =
            entries.iter().rposition(|entry| entry.sign).ok_or("it has no key with \"sign\": true")?;
        Ok(Keyring { keys, signing })
    }

    /// Signs `parts` for the purpose that `label` names. What one purpose signed does not verify for another.
    pub fn sign(&self, label: &str, parts: &[&[u8]]) -> Signature<'_> {
        let (kid, key) = &self.keys[self.signing];
        let tag = digest(key, label, kid, parts).sign();
        let mut bytes = [0; 32];
        bytes.copy_from_slice(tag.as_ref());
        Signature { kid, tag: bytes }
    }

    /// Whether `tag`, or as much of it as was kept (16 bytes at least), signs `parts` for `label`; in constant time.
    pub fn verify(&self, label: &str, kid: &str, parts: &[&[u8]], tag: &[u8]) -> bool {
        let Some((kid, key)) = self.keys.iter().find(|(known, _)| known == kid) else { return false };
        if tag.len() < 16 {
            return false;
        }
        let expected = digest(key, label, kid, parts).sign();
        let difference = expected.as_ref().iter().zip(tag).fold(0, |all, (a, b)| all | (a ^ b));
        std::hint::black_box(difference) == 0 && tag.len() <= 32
    }
}

/// The parts with their lengths, so that no two lists of parts are the same bytes.
fn digest(key: &hmac::Key, label: &str, kid: &str, parts: &[&[u8]]) -> hmac::Context {
    let mut context = hmac::Context::with_key(key);
    for part in [label.as_bytes(), kid.as_bytes()].iter().chain(parts) {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    context
}

fn create(path: &Path, now: Time) -> io::Result<()> {
    if path.exists() {
        return Ok(());
    }
    let key = random::<KEY_BYTES>();
    let kid = HEXLOWER.encode(&random::<2>());
    let entry = Entry { kid, key: HEXLOWER.encode(&key), created_at: now, sign: true };
    let text = serde_json::to_string_pretty(&[entry])?;
    // Written aside and linked in whole: another process starting now must not read half a file.
    let aside = path.with_extension(format!("{}.tmp", HEXLOWER.encode(&random::<8>())));
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&aside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    let linked = fs::hard_link(&aside, path);
    fs::remove_file(&aside)?;
    linked
}

fn check_permissions(path: &Path) -> Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::metadata(path).map(|found| found.permissions().mode()).unwrap_or(0o600);
        if mode & 0o077 != 0 {
            return Err(Error::config(format!(
                "The keyring {} can be read by others (mode {:03o}). Run: chmod 600 {}",
                path.display(),
                mode & 0o777,
                path.display()
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_and_verifies_for_one_purpose_only() {
        let folder = tempfile::tempdir().unwrap();
        let ring = Keyring::open(folder.path(), Time(0)).unwrap();
        let signature = ring.sign("mcs", &[b"ab", b"c"]);
        let again = Keyring::open(folder.path(), Time(1)).unwrap();
        let check = |label: &str, parts: &[&[u8]], tag: &[u8], expected: bool| {
            assert_eq!(again.verify(label, signature.kid, parts, tag), expected, "{label} {parts:?}");
        };
        check("mcs", &[b"ab", b"c"], &signature.tag, true);
        check("mcs", &[b"ab", b"c"], &signature.tag[..16], true);
        check("mcs", &[b"ab", b"c"], &signature.tag[..15], false);
        check("mcs", &[b"a", b"bc"], &signature.tag, false);
        check("mcu", &[b"ab", b"c"], &signature.tag, false);
        check("mcs", &[b"ab", b"c"], &[0; 32], false);
        assert!(!again.verify("mcs", "nope", &[b"ab", b"c"], &signature.tag));
    }

    #[test]
    #[cfg(unix)]
    fn refuses_a_keyring_that_others_can_read() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        Keyring::open(folder.path(), Time(0)).unwrap();
        let path = folder.path().join(KEYRING_FILE);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let error = Keyring::open(folder.path(), Time(0)).err().unwrap();
        assert!(error.public.contains("chmod 600"), "{error}");
    }
}
