//! The keyring: the HMAC keys that sign session ids, cursors and tokens. A file beside the database, never in it, so
//! that who steals the database can forge nothing.
//!
//! The newest key signs, all of them verify. A running process looks at the file again and again, so a key that the
//! operator adds or drops counts within half a second in every process, without a signal or a restart.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant, SystemTime};

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use ring::hmac;
use serde::{Deserialize, Serialize};

use crate::clock::{self, Time, random};
use crate::error::{Error, Kind, Result};

/// The keyring's name in the data folder.
pub const KEYRING_FILE: &str = "keyring.json";
/// What ends with the keyring: all that is signed. API keys and passwords are not.
pub const ENDS: &str =
    "sign-ins, connected apps, invitations and reset links, tokenized URLs and legacy sessions";
/// Bytes of a key.
const KEY_BYTES: usize = 32;
/// Keys of a keyring at most.
const KEYS_MAX: usize = 32;
/// Bytes of a signature that stand in what is sealed.
const SEAL_BYTES: usize = 16;
/// Between two looks at whether the file has changed.
const LOOK: Duration = Duration::from_millis(500);

/// One key as the file has it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    /// Its name, 1–16 letters and digits; stands in what it signed.
    kid: String,
    /// 32 bytes or more, in hexadecimal.
    key: String,
    created_at: Time,
    /// Whether new things may be signed with it; the last such key does. All keys verify.
    sign: bool,
}

/// The keys, ready for use.
pub struct Keyring {
    path: PathBuf,
    ring: RwLock<Ring>,
    /// Rises whenever the file was read again.
    edition: AtomicU64,
    opened: Instant,
    /// When the file was last looked at, in milliseconds after `opened`.
    looked: AtomicU64,
}

/// The keys of the file as it was read.
struct Ring {
    keys: Vec<(Arc<str>, hmac::Key)>,
    /// Which of them signs.
    signing: usize,
    stamp: Option<Stamp>,
}

/// What tells one state of the file from another: each change is a new file in the place of the old.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    bytes: u64,
    file: u64,
}

/// A signature: which key made it, and its 32 bytes.
pub struct Signature {
    /// The key's name.
    pub kid: Arc<str>,
    /// HMAC-SHA-256.
    pub tag: [u8; 32],
}

/// A key as the operator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub kid: String,
    /// When it was made.
    pub created_at: Time,
    /// Whether it is the one that signs.
    pub signs: bool,
}

impl Keyring {
    /// Whether `folder` has none.
    pub fn is_missing(folder: &Path) -> bool {
        !folder.join(KEYRING_FILE).exists()
    }

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
        let ring = Ring::read(&path, Stamp::of(&path))?;
        let (opened, looked) = (clock::instant(), AtomicU64::new(0));
        Ok(Keyring { path, ring: RwLock::new(ring), edition: AtomicU64::new(0), opened, looked })
    }

    /// Adds a key that signs from now on to the keyring in `folder`, which is made if it is not there; its name. What
    /// the others signed holds.
    ///
    /// # Errors
    /// `Conflict` when there are 32 already, or another process changes it; `Config` as for [`Keyring::open`].
    pub fn rotate(folder: &Path, now: Time) -> Result<String> {
        Keyring::open(folder, now)?;
        change(folder, |entries| {
            if entries.len() >= KEYS_MAX {
                let text = format!("The keyring has {KEYS_MAX} keys: drop old ones first.");
                return Err(Error::new(Kind::Conflict, text));
            }
            let taken = |kid: &str| entries.iter().any(|entry| entry.kid == kid);
            let new = std::iter::repeat_with(|| Entry::fresh(now)).find(|entry| !taken(&entry.kid));
            let new = new.ok_or_else(|| Error::internal("every name of a key is taken"))?;
            let kid = new.kid.clone();
            entries.push(new);
            Ok(kid)
        })
    }

    /// Takes the key `kid` out of the keyring in `folder`: what it signed is void.
    ///
    /// # Errors
    /// `NotFound` when there is none; `Conflict` when no other key signs, or another process changes it; `Config` as for
    /// [`Keyring::open`].
    pub fn drop_key(folder: &Path, kid: &str) -> Result<()> {
        change(folder, |entries| {
            let Some(at) = entries.iter().position(|entry| entry.kid == kid) else {
                return Err(Error::not_found(format!(
                    "There is no key {kid:?}; `chaterimo keyring list` shows them."
                )));
            };
            entries.remove(at);
            match entries.iter().any(|entry| entry.sign) {
                true => Ok(()),
                false => Err(Error::new(
                    Kind::Conflict,
                    "It is the only key that signs: make another with `chaterimo keyring rotate` first.",
                )),
            }
        })
    }

    /// The keys in `folder`, oldest first.
    ///
    /// # Errors
    /// `Config` when there is no keyring, or as for [`Keyring::open`].
    pub fn list(folder: &Path) -> Result<Vec<Listed>> {
        let path = folder.join(KEYRING_FILE);
        let entries = read(&path)?;
        let signing = Ring::of(&entries, None).map_err(|cause| unusable(&path, &cause))?.signing;
        let listed = |(at, entry): (usize, Entry)| Listed {
            kid: entry.kid,
            created_at: entry.created_at,
            signs: at == signing,
        };
        Ok(entries.into_iter().enumerate().map(listed).collect())
    }

    /// Signs `parts` for the purpose that `label` names. What one purpose signed does not verify for another.
    pub fn sign(&self, label: &str, parts: &[&[u8]]) -> Signature {
        self.look(LOOK);
        let ring = self.ring();
        let (kid, key) = &ring.keys[ring.signing];
        let tag = digest(key, label, kid, parts).sign();
        let mut bytes = [0; 32];
        bytes.copy_from_slice(tag.as_ref());
        Signature { kid: Arc::clone(kid), tag: bytes }
    }

    /// Whether `tag`, or as much of it as was kept (16 bytes at least), signs `parts` for `label`; in constant time.
    pub fn verify(&self, label: &str, kid: &str, parts: &[&[u8]], tag: &[u8]) -> bool {
        self.look(LOOK);
        if !self.ring().has(kid) {
            // Another process may have made the key, and signed with it, a moment ago.
            self.look(Duration::ZERO);
        }
        let ring = self.ring();
        let Some((kid, key)) = ring.keys.iter().find(|(known, _)| **known == *kid) else { return false };
        if tag.len() < 16 {
            return false;
        }
        let expected = digest(key, label, kid, parts).sign();
        let difference = expected.as_ref().iter().zip(tag).fold(0, |all, (a, b)| all | (a ^ b));
        std::hint::black_box(difference) == 0 && tag.len() <= 32
    }

    /// `payload` as a text of URL-safe characters, signed together with `parts` for `label`: key, full stop, base64url of the
    /// payload and 16 bytes of the signature. Whoever holds it can read the payload, and cannot change it.
    pub fn seal(&self, label: &str, parts: &[&[u8]], payload: &[u8]) -> String {
        let signature = self.sign(label, &[parts, &[payload]].concat());
        let bytes = [payload, &signature.tag[..SEAL_BYTES]].concat();
        format!("{}.{}", signature.kid, BASE64URL_NOPAD.encode(&bytes))
    }

    /// The payload of a text that [`Keyring::seal`] gave for this label and these parts; `None` for any other text.
    pub fn unseal(&self, label: &str, parts: &[&[u8]], text: &str) -> Option<Vec<u8>> {
        let (kid, text) = text.split_once('.')?;
        let mut bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
        let tag = bytes.split_off(bytes.len().checked_sub(SEAL_BYTES)?);
        self.verify(label, kid, &[parts, &[bytes.as_slice()]].concat(), &tag).then_some(bytes)
    }

    /// A number that is another one once the keys are others: what was verified before may hold no longer.
    pub fn edition(&self) -> u64 {
        self.look(LOOK);
        self.edition.load(Relaxed)
    }

    fn ring(&self) -> RwLockReadGuard<'_, Ring> {
        self.ring.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the file again if it has changed and was not looked at for `pause`. One that cannot be used changes nothing.
    fn look(&self, pause: Duration) {
        let now = u64::try_from(clock::since(self.opened).as_millis()).unwrap_or(u64::MAX);
        let next = self.looked.load(Relaxed) + u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        if now < next {
            return;
        }
        self.looked.store(now, Relaxed);
        let stamp = Stamp::of(&self.path);
        if self.ring().stamp == stamp {
            return;
        }
        let read = Ring::read(&self.path, stamp);
        let mut ring = self.ring.write().unwrap_or_else(PoisonError::into_inner);
        match read {
            Ok(read) => {
                *ring = read;
                self.edition.fetch_add(1, Relaxed);
                tracing::info!(keys = ring.keys.len(), "the keyring was read again");
            }
            Err(error) => {
                ring.stamp = stamp;
                tracing::error!(
                    ?error,
                    "the keyring has changed and cannot be used; the keys of before count"
                );
            }
        }
    }
}

impl Entry {
    fn fresh(now: Time) -> Entry {
        let (kid, key) = (HEXLOWER.encode(&random::<2>()), HEXLOWER.encode(&random::<KEY_BYTES>()));
        Entry { kid, key, created_at: now, sign: true }
    }
}

impl Ring {
    fn read(path: &Path, stamp: Option<Stamp>) -> Result<Ring> {
        Ring::of(&read(path)?, stamp).map_err(|cause| unusable(path, &cause))
    }

    fn of(entries: &[Entry], stamp: Option<Stamp>) -> Result<Ring, String> {
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
            keys.push((Arc::from(entry.kid.as_str()), hmac::Key::new(hmac::HMAC_SHA256, &bytes)));
        }
        let signing =
            entries.iter().rposition(|entry| entry.sign).ok_or("it has no key with \"sign\": true")?;
        Ok(Ring { keys, signing, stamp })
    }

    fn has(&self, kid: &str) -> bool {
        self.keys.iter().any(|(known, _)| **known == *kid)
    }
}

impl Stamp {
    /// The file's; none when there is no file.
    fn of(path: &Path) -> Option<Stamp> {
        fs::metadata(path).ok().as_ref().map(Stamp::new)
    }

    fn new(found: &fs::Metadata) -> Stamp {
        #[cfg(unix)]
        let file = std::os::unix::fs::MetadataExt::ino(found);
        #[cfg(not(unix))]
        let file = 0;
        Stamp { modified: found.modified().ok(), bytes: found.len(), file }
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

fn unusable(path: &Path, cause: &str) -> Error {
    Error::config(format!(
        "The keyring {} cannot be used: {cause}. Restore it from a backup; without it, sessions and tokens given out before are void.",
        path.display()
    ))
}

fn read(path: &Path) -> Result<Vec<Entry>> {
    check_permissions(path)?;
    let text = fs::read_to_string(path).map_err(|cause| unusable(path, &cause.to_string()))?;
    serde_json::from_str(&text).map_err(|cause| unusable(path, &cause.to_string()))
}

/// Changes the keys in `folder`, by one process at a time, as a new file in the place of the old.
fn change<T>(folder: &Path, job: impl FnOnce(&mut Vec<Entry>) -> Result<T>) -> Result<T> {
    let path = folder.join(KEYRING_FILE);
    let failed = |cause: io::Error| {
        Error::config(format!("The keyring {} cannot be changed: {cause}.", path.display()))
    };
    let file = File::open(&path).map_err(failed)?;
    file.lock().map_err(failed)?;
    if Stamp::of(&path) != Some(Stamp::new(&file.metadata().map_err(failed)?)) {
        return Err(Error::new(Kind::Conflict, "The keyring was changed just now: look, then try again."));
    }
    let mut entries = read(&path)?;
    let done = job(&mut entries)?;
    let aside = write_aside(&path, &entries).map_err(failed)?;
    fs::rename(&aside, &path).map_err(failed)?;
    #[cfg(unix)]
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
    Ok(done)
}

fn create(path: &Path, now: Time) -> io::Result<()> {
    if path.exists() {
        return Ok(());
    }
    // Written aside and linked in whole: another process starting now must not read half a file.
    let aside = write_aside(path, &[Entry::fresh(now)])?;
    let linked = fs::hard_link(&aside, path);
    fs::remove_file(&aside)?;
    linked
}

/// Writes a keyring (0600) beside `path`; where.
fn write_aside(path: &Path, entries: &[Entry]) -> io::Result<PathBuf> {
    let text = serde_json::to_string_pretty(entries)?;
    let aside = path.with_extension(format!("{}.tmp", HEXLOWER.encode(&random::<8>())));
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&aside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    Ok(aside)
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
            assert_eq!(again.verify(label, &signature.kid, parts, tag), expected, "{label} {parts:?}");
        };
        check("mcs", &[b"ab", b"c"], &signature.tag, true);
        check("mcs", &[b"ab", b"c"], &signature.tag[..16], true);
        check("mcs", &[b"ab", b"c"], &signature.tag[..15], false);
        check("mcs", &[b"a", b"bc"], &signature.tag, false);
        check("mcu", &[b"ab", b"c"], &signature.tag, false);
        check("mcs", &[b"ab", b"c"], &[0; 32], false);
        assert!(!again.verify("mcs", "nope", &[b"ab", b"c"], &signature.tag));
        let sealed = ring.seal("mcs", &[b"ab"], b"c");
        let opens = |label: &str, parts: &[&[u8]], text: &str, expected: Option<&[u8]>| {
            assert_eq!(again.unseal(label, parts, text).as_deref(), expected, "{label} {parts:?} {text}");
        };
        opens("mcs", &[b"ab"], &sealed, Some(b"c"));
        opens("mcs", &[b"a"], &sealed, None);
        opens("mcu", &[b"ab"], &sealed, None);
        opens("mcs", &[b"ab"], &format!("{sealed}AAAA"), None);
        for text in ["", ".", "k.AA", "nope", &sealed[..sealed.len() - 1]] {
            opens("mcs", &[b"ab"], text, None);
        }
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

    /// Whether `ring` takes what the key of `signature` signed.
    fn holds(ring: &Keyring, signature: &Signature) -> bool {
        ring.verify("mcs", &signature.kid, &[b"a"], &signature.tag)
    }

    #[test]
    fn keys_come_and_go_while_a_process_runs() {
        let folder = tempfile::tempdir().unwrap();
        let ring = Keyring::open(folder.path(), Time(0)).unwrap();
        let old = ring.sign("mcs", &[b"a"]);
        let edition = ring.edition();
        let kid = Keyring::rotate(folder.path(), Time(7)).unwrap();
        let listed = Keyring::list(folder.path()).unwrap();
        assert_eq!(listed.iter().map(|key| key.signs).collect::<Vec<_>>(), [false, true]);
        assert_eq!((listed[1].kid.as_str(), listed[1].created_at), (kid.as_str(), Time(7)));
        let another = Keyring::open(folder.path(), Time(7)).unwrap();
        let new = another.sign("mcs", &[b"a"]);
        assert_eq!(*new.kid, *kid, "the newest signs");
        assert!(holds(&ring, &new), "an unknown key is looked for at once");
        assert!(holds(&ring, &old) && holds(&another, &old), "what the others signed holds");
        assert_eq!(*ring.sign("mcs", &[b"a"]).kid, *kid);
        assert!(ring.edition() > edition);
        Keyring::drop_key(folder.path(), &old.kid).unwrap();
        ring.look(Duration::ZERO);
        assert!(!holds(&ring, &old) && holds(&ring, &new), "what was dropped is void");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = fs::metadata(folder.path().join(KEYRING_FILE)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left aside");
    }

    #[test]
    fn a_keyring_keeps_a_key_that_signs() {
        let folder = tempfile::tempdir().unwrap();
        let ring = Keyring::open(folder.path(), Time(0)).unwrap();
        let only = ring.sign("mcs", &[b"a"]);
        let check = |kid: &str, expected: Kind| {
            assert_eq!(Keyring::drop_key(folder.path(), kid).unwrap_err().kind, expected, "{kid}");
        };
        check("nope", Kind::NotFound);
        check(&only.kid, Kind::Conflict);
        let before = fs::read(folder.path().join(KEYRING_FILE)).unwrap();
        fs::write(folder.path().join(KEYRING_FILE), "[]").unwrap();
        ring.look(Duration::ZERO);
        assert!(holds(&ring, &only), "a file that cannot be used changes nothing");
        fs::write(folder.path().join(KEYRING_FILE), before).unwrap();
        for _ in 1..KEYS_MAX {
            Keyring::rotate(folder.path(), Time(1)).unwrap();
        }
        assert_eq!(Keyring::rotate(folder.path(), Time(1)).unwrap_err().kind, Kind::Conflict);
        ring.look(Duration::ZERO);
        assert!(holds(&ring, &only));
    }
}
