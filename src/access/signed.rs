//! Opaque secrets that only we can have made: `mat_<kid>_<id>_<tag>`. The tag is an HMAC over the purpose, the key's
//! name and 16 random bytes, so that a forged one costs no query; what the database keeps is the SHA-256 of the text.

use data_encoding::BASE64URL_NOPAD;
use ring::digest;

use crate::clock::random;
use crate::keyring::Keyring;

/// What a secret is for. One made for one purpose does not hold for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// An access token.
    Access,
    /// A refresh token.
    Refresh,
    /// An authorization code.
    Code,
    /// An authorization request that waits for consent.
    Request,
    /// The cookie of a browser.
    Browser,
    /// An invitation, or a link to choose a new password.
    Invitation,
    /// The token in a legacy tokenized URL.
    Url,
}

impl Purpose {
    /// Every purpose.
    pub const ALL: [Purpose; 7] = [
        Purpose::Access,
        Purpose::Refresh,
        Purpose::Code,
        Purpose::Request,
        Purpose::Browser,
        Purpose::Invitation,
        Purpose::Url,
    ];

    /// What such secrets begin with, before the first underscore; also the label of their signature.
    pub fn label(self) -> &'static str {
        match self {
            Purpose::Access => "mat",
            Purpose::Refresh => "mrt",
            Purpose::Code => "mac",
            Purpose::Request => "mar",
            Purpose::Browser => "mbs",
            Purpose::Invitation => "min",
            Purpose::Url => "chu",
        }
    }
}

/// The SHA-256 of a secret: what is kept of it.
pub type Hash = [u8; 32];

/// A fresh secret, about 90 characters of `A–Z a–z 0–9 - _`, and what to keep of it.
pub fn generate(keyring: &Keyring, purpose: Purpose) -> (String, Hash) {
    let id = random::<16>();
    let signature = keyring.sign(purpose.label(), &[&id]);
    let encode = |bytes: &[u8]| BASE64URL_NOPAD.encode(bytes);
    let text = format!("{}_{}_{}_{}", purpose.label(), signature.kid, encode(&id), encode(&signature.tag));
    let hash = sha256(&text);
    (text, hash)
}

/// What was kept of `text`, if we made it for `purpose`.
pub fn verify(keyring: &Keyring, purpose: Purpose, text: &str) -> Option<Hash> {
    let (kid, rest) = text.strip_prefix(purpose.label())?.strip_prefix('_')?.split_once('_')?;
    // 16 bytes are 22 characters, 32 are 43; base64url itself may hold the underscore.
    let (id, tag) = rest.split_at_checked(22)?;
    let tag = tag.strip_prefix('_').filter(|tag| tag.len() == 43)?;
    let (mut id_bytes, mut tag_bytes) = ([0; 16], [0; 32]);
    BASE64URL_NOPAD.decode_mut(id.as_bytes(), &mut id_bytes).ok()?;
    BASE64URL_NOPAD.decode_mut(tag.as_bytes(), &mut tag_bytes).ok()?;
    keyring.verify(purpose.label(), kid, &[&id_bytes], &tag_bytes).then(|| sha256(text))
}

/// SHA-256.
pub fn sha256(text: &str) -> Hash {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest::digest(&digest::SHA256, text.as_bytes()).as_ref());
    bytes
}

/// Whether two secrets, or their hashes, are the same, in a time that does not tell where they differ.
pub fn same(one: &[u8], other: &[u8]) -> bool {
    let difference = one.iter().zip(other).fold(0, |all, (a, b)| all | (a ^ b));
    std::hint::black_box(difference) == 0 && one.len() == other.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Time;

    #[test]
    fn no_two_purposes_have_one_label() {
        let labels: std::collections::HashSet<_> = Purpose::ALL.map(Purpose::label).into();
        assert_eq!(labels.len(), Purpose::ALL.len());
    }

    #[test]
    fn equal_is_equal_as_a_whole() {
        let check = |one: &str, other: &str, expected| {
            assert_eq!(same(one.as_bytes(), other.as_bytes()), expected, "{one} {other}");
        };
        check("abc", "abc", true);
        check("abc", "abd", false);
        check("abc", "ab", false);
        check("", "a", false);
    }

    #[test]
    fn a_secret_holds_for_its_purpose_and_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let keyring = Keyring::open(folder.path(), Time(0)).unwrap();
        let (text, hash) = generate(&keyring, Purpose::Access);
        assert_eq!(verify(&keyring, Purpose::Access, &text), Some(hash));
        let check = |purpose, text: &str| assert_eq!(verify(&keyring, purpose, text), None, "{text}");
        check(Purpose::Refresh, &text);
        check(Purpose::Refresh, &text.replacen("mat_", "mrt_", 1));
        check(Purpose::Access, &text[..text.len() - 1]);
        check(Purpose::Access, &format!("{text}A"));
        check(Purpose::Access, &text.to_uppercase());
        check(Purpose::Access, "");
        check(Purpose::Access, "mat_");
        check(Purpose::Access, "mat_é_é");
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            check(Purpose::Access, &String::from_utf8(bytes).unwrap());
        }
    }
}
