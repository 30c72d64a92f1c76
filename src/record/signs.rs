//! By what a secret, or a phone number, is known in what is recorded: how it looks, and the name that it stands under.

use std::ops::Range;

use serde::de::IgnoredAny;

use crate::protocol::transcript::compare::{decoded, is_placeholder};

/// What keys and tokens begin with, ours first, and what they are called then.
pub(super) const PREFIXES: [(&str, &str); 19] = [
    ("cha_", "key"),
    ("chu_", "token"),
    ("mcs_", "session"),
    ("mat_", "token"),
    ("mrt_", "token"),
    ("mac_", "code"),
    ("mar_", "request"),
    ("mbs_", "cookie"),
    ("min_", "link"),
    ("AKIA", "key"),
    ("ghp_", "token"),
    ("github_pat_", "token"),
    ("glpat-", "token"),
    ("sk-ant-", "key"),
    ("sk-proj-", "key"),
    ("sk_live_", "key"),
    ("sk_test_", "key"),
    ("xoxb-", "token"),
    ("xoxp-", "token"),
];
/// What keys of other makers begin with that other words begin with too: what follows must look random.
pub(super) const VAGUE_PREFIXES: [(&str, &str); 11] = [
    ("AIza", "key"),
    ("SG.", "key"),
    ("gho_", "token"),
    ("ghs_", "token"),
    ("ghu_", "token"),
    ("hf_", "token"),
    ("npm_", "token"),
    ("rk_live_", "key"),
    ("shpat_", "token"),
    ("shpss_", "secret"),
    ("whsec_", "secret"),
];
/// The fewest characters after a prefix that make a key, and the fewest of a secret that is sought everywhere.
pub(super) const MIN_SECRET: usize = 8;
/// Members whose text is a secret wherever they stand.
const SECRET_MEMBERS: [&str; 12] = [
    "access_token",
    "api_key",
    "apikey",
    "assertion",
    "authorization",
    "client_assertion",
    "client_secret",
    "code_verifier",
    "cookie",
    "id_token",
    "password",
    "refresh_token",
];
/// Members whose text is a secret in queries, forms and JSON outside MCP, where tools may mean something else by them.
const OAUTH_MEMBERS: [&str; 5] = ["code", "csrf", "device_code", "state", "token"];
/// How the names of header fields, and of values in queries and forms, end where the value is a credential, whatever the
/// server calls it: `X-Api-Key`, `apikey`, `sig`.
const SECRET_ENDS: [&str; 13] = [
    "auth",
    "authorization",
    "cookie",
    "credential",
    "jwt",
    "key",
    "passwd",
    "password",
    "pwd",
    "secret",
    "sig",
    "signature",
    "token",
];
/// What stands before `key` in names that are no key's, such as `sort_key` and `partitionKey`: a value of a query is one
/// there only if it looks it.
const NO_KEYS: [&str; 20] = [
    "answer",
    "cache",
    "column",
    "field",
    "foreign",
    "group",
    "hash",
    "hot",
    "index",
    "lookup",
    "object",
    "order",
    "page",
    "partition",
    "primary",
    "public",
    "range",
    "row",
    "sort",
    "unique",
];
/// How members' names end whose text is a phone number in whatever form, and those whose text is none.
const PHONE_MEMBERS: [&str; 5] = ["contact", "fax", "mobile", "phone", "whatsapp"];
const ID_MEMBERS: [&str; 11] =
    ["code", "cursor", "ean", "gtin", "hash", "id", "ids", "number", "reference", "sku", "version"];
/// The fewest digits in such a member that are a phone number.
const MIN_PHONE_DIGITS: usize = 5;
/// The longest text without a space that may be read by people, in bytes; beyond it stands a file.
const MAX_WORD: usize = 256;
/// Parameters of a challenge that may follow the name of its scheme as a credential does, and are none.
pub(super) const CHALLENGE_PARAMETERS: [&str; 2] = ["error_description", "resource_metadata"];
/// The fewest characters of a text that is a secret by how its name ends.
const MIN_NAMED: usize = 12;
/// The fewest characters of a value in the server's URL that are a key though they have no digits.
const MIN_RANDOM: usize = 20;

pub(super) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '+' | '@' | '~')
}

pub(super) fn is_secret_member(name: &str, is_mcp: bool) -> bool {
    let name = name.to_ascii_lowercase().replace('-', "_");
    SECRET_MEMBERS.contains(&&*name) || (!is_mcp && OAUTH_MEMBERS.contains(&&*name))
}

/// Whether a header field, or a value in a query, is a credential by its name.
pub(super) fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET_ENDS.iter().any(|end| name.ends_with(end))
}

/// Whether a name ends with `key` and is that of a column, an order or the like.
pub(super) fn may_be_no_key(name: &str) -> bool {
    let Some((name, key)) = name.split_at_checked(name.len().saturating_sub(3)) else { return false };
    let name = name.trim_end_matches(|c: char| !c.is_alphanumeric());
    let ends_with = |word: &str| {
        let Some((before, end)) = name.split_at_checked(name.len().wrapping_sub(word.len())) else {
            return false;
        };
        // `orange_key` is not `range_key`.
        let is_hump = end.starts_with(char::is_uppercase) && before.ends_with(char::is_lowercase);
        end.eq_ignore_ascii_case(word) && (is_hump || !before.ends_with(char::is_alphanumeric))
    };
    key.eq_ignore_ascii_case("key") && NO_KEYS.iter().any(|word| ends_with(word))
}

/// Whether a value is a secret by its look, where its name may be one's.
pub(super) fn looks_secret(value: &str) -> bool {
    value.len() >= MIN_NAMED && looks_random(value)
}

/// What `encodeURIComponent` writes otherwise than a form does.
const IN_ADDRESSES: [(&str, &str); 6] =
    [("+", "%20"), ("%21", "!"), ("%27", "'"), ("%28", "("), ("%29", ")"), ("%7E", "~")];

/// How else a secret may be written: percent-decoded once, and that percent-encoded, in capitals and in small letters, and as
/// `encodeURIComponent` does.
pub(super) fn other_forms(secret: &str) -> [String; 4] {
    let plain = decoded(secret);
    let pieces = || form_urlencoded::byte_serialize(plain.as_bytes());
    let small =
        |piece: &str| if piece.starts_with('%') { piece.to_ascii_lowercase() } else { piece.to_owned() };
    let form: String = pieces().collect();
    let address = IN_ADDRESSES.iter().fold(form.clone(), |text, (from, to)| text.replace(from, to));
    [form, pieces().map(small).collect(), address, plain]
}

/// Where in `text` a secret stands that its surroundings tell: the password of an address (RFC 3986, 3.2.1), and a private
/// key in PEM (RFC 7468). The last one first.
pub(super) fn enclosed(text: &str) -> Vec<(Range<usize>, &'static str)> {
    let password = |(at, _): (usize, &str)| {
        let from = at + "://".len();
        let ends = |c: char| c.is_whitespace() || matches!(c, '/' | '?' | '#' | '"' | '\'' | '<' | '>');
        let authority = text[from..].split(ends).next()?;
        let (userinfo, _) = authority.rsplit_once('@')?;
        let (user, password) = userinfo.split_once(':')?;
        let start = from + user.len() + 1;
        (!password.is_empty() && !is_placeholder(password))
            .then_some((start..start + password.len(), "password"))
    };
    let private = |(at, _): (usize, &str)| {
        let rest = &text[at..];
        let begins = rest.split("-----").nth(1)?.ends_with("PRIVATE KEY");
        let end = rest.find("-----END ").and_then(|end| Some(end + 9 + rest[end + 9..].find("-----")? + 5));
        begins.then_some((at..end.map_or(text.len(), |end| at + end), "key"))
    };
    let mut found: Vec<_> = text.match_indices("://").filter_map(password).collect();
    found.extend(text.match_indices("-----BEGIN ").filter_map(private));
    found.sort_by_key(|(range, _)| range.start);
    found.dedup_by(|within, before| within.0.start < before.0.end);
    found.reverse();
    found
}

/// Whether a value is made by a machine: a word such as `products`, a number and a date are not.
pub(super) fn looks_random(value: &str) -> bool {
    let has = |is: fn(&u8) -> bool| value.as_bytes().iter().any(is);
    value.len() >= MIN_RANDOM || (has(u8::is_ascii_digit) && has(u8::is_ascii_alphabetic))
}

/// Where in `word` a secret with this prefix begins: not within another word, and long enough.
pub(super) fn find_prefix(word: &str, prefix: &str) -> Option<usize> {
    let at = word.find(prefix)?;
    let apart = !word[..at].ends_with(char::is_alphanumeric);
    (apart && word.len() - at - prefix.len() >= MIN_SECRET).then_some(at)
}

pub(super) fn is_jwt(word: &str) -> bool {
    word.starts_with("eyJ") && word.len() > 30 && word.matches('.').count() == 2
}

/// Whether the text is an object or an array of JSON.
pub(super) fn is_json(text: &str) -> bool {
    text.trim_start().starts_with(['{', '[']) && serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// The bytes of the string of JSON that `text` begins with, quotes and all.
pub(super) fn literal_bytes(text: &str) -> usize {
    let mut escaped = false;
    let close = text.bytes().enumerate().skip(1).find(|(_, byte)| {
        let ends = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        ends
    });
    close.map_or(text.len(), |(at, _)| at + 1)
}

pub(super) fn is_phone_member(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let name = name.strip_suffix("number").unwrap_or(&name).trim_end_matches(['_', '-', ' ']);
    name == "tel" || PHONE_MEMBERS.iter().any(|end| name.ends_with(end))
}

/// Whether the text is made of the characters of a phone number.
pub(super) fn is_number(text: &str) -> bool {
    let digits = text.chars().filter(char::is_ascii_digit).count();
    digits >= MIN_PHONE_DIGITS
        && text.chars().all(|c| c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | '/' | '(' | ')' | ' '))
}

/// Whether the text of the member `name` is made for programs, so that its digits are no phone number.
pub(super) fn is_id(name: &str, text: &str) -> bool {
    let name = name.to_ascii_lowercase();
    text.bytes().all(|byte| byte.is_ascii_digit())
        || (text.len() > MAX_WORD && !text.contains(char::is_whitespace))
        || (!text.contains([' ', '+']) && ID_MEMBERS.iter().any(|end| name.ends_with(end)))
}
