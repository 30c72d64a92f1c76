//! The one error type: few kinds, one map to HTTP and one to the exit code; a public text that says what to do,
//! apart from the private cause, which is logged once at the edge.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::path::Path;
use std::{fmt, io};

/// What went wrong, as far as whoever asked must know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The input is not what it must be.
    Invalid,
    /// No credential, or one that does not hold.
    Unauthorized,
    /// The credential does not reach this far.
    Forbidden,
    /// It is not there, or not theirs.
    NotFound,
    /// It cannot be done in the state things are in.
    Conflict,
    /// The input is larger than the limit.
    TooLarge,
    /// Too many requests for now.
    TooMany,
    /// A setting is missing or wrong.
    Config,
    /// The server cannot answer now, but may later: a full disk, a busy database.
    Unavailable,
    /// A fault of ours.
    Internal,
}

impl Kind {
    /// The HTTP status that says this (RFC 9110, RFC 6585).
    pub fn http_status(self) -> u16 {
        match self {
            Kind::Invalid => 400,
            Kind::Unauthorized => 401,
            Kind::Forbidden => 403,
            Kind::NotFound => 404,
            Kind::Conflict => 409,
            Kind::TooLarge => 413,
            Kind::TooMany => 429,
            Kind::Unavailable => 503,
            Kind::Config | Kind::Internal => 500,
        }
    }

    /// The exit code of the process that says this: 2 when arguments or settings are wrong, 1 for all else.
    pub fn exit_code(self) -> u8 {
        match self {
            Kind::Invalid | Kind::Config => 2,
            _ => 1,
        }
    }
}

/// An error with a text for whoever asked and a cause for the log.
pub struct Error {
    /// What kind of error it is.
    pub kind: Kind,
    /// What whoever asked is told; holds nothing secret.
    pub public: String,
    /// What really happened, for the log.
    pub cause: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// A result whose error is [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of `kind` that says `public`.
    pub fn new(kind: Kind, public: impl Into<String>) -> Error {
        Error { kind, public: public.into(), cause: None }
    }

    /// The same error with its private cause.
    pub fn because(mut self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        self.cause = Some(cause.into());
        self
    }

    /// Wrong input.
    pub fn invalid(public: impl Into<String>) -> Error {
        Error::new(Kind::Invalid, public)
    }

    /// A command that cannot be started, and what to do about it.
    pub fn not_started(program: &OsStr, error: io::Error) -> Error {
        let name = program.display();
        let has_folder = Path::new(program).components().count() > 1;
        let why = match error.kind() {
            io::ErrorKind::NotFound if has_folder => {
                "there is no such file, or its #! line names none".to_owned()
            }
            io::ErrorKind::NotFound => {
                "PATH has no such command; install it, or give its whole path".to_owned()
            }
            io::ErrorKind::PermissionDenied => {
                "it may not be executed; chmod +x it, or name its interpreter".to_owned()
            }
            _ => error.to_string(),
        };
        Error::invalid(format!("{name} cannot be started: {why}.")).because(error)
    }

    /// Not there, or not theirs.
    pub fn not_found(public: impl Into<String>) -> Error {
        Error::new(Kind::NotFound, public)
    }

    /// A setting is missing or wrong.
    pub fn config(public: impl Into<String>) -> Error {
        Error::new(Kind::Config, public)
    }

    /// A fault of ours; whoever asked learns only that.
    pub fn internal(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        Error::new(Kind::Internal, "The server met a fault of its own; its log says which.").because(cause)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.public)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            Some(cause) => write!(f, "{:?}: {} (cause: {cause})", self.kind, self.public),
            None => write!(f, "{:?}: {}", self.kind, self.public),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as _)
    }
}

/// `text` without what a terminal would obey: what is told was often said by servers that nobody knows. Ends of lines and
/// tabs stay. Borrows when there is nothing of the kind.
pub fn plain(text: &str) -> Cow<'_, str> {
    let obeyed = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    match text.contains(obeyed) {
        true => text.chars().filter(|c| !obeyed(*c)).collect::<String>().into(),
        false => text.into(),
    }
}

/// The first `most` characters of `text` that are no control characters: a line, whatever a server wrote.
pub fn one_line(text: &str, most: usize) -> String {
    text.chars().filter(|c| !c.is_control()).take(most).collect()
}

/// `text`, fit for a log: whatever has the form of a credential of ours (three letters, an underscore, and 40 letters,
/// digits, `_` and `-` or more) is `[SECRET]`. Borrows when there is none.
pub fn without_secrets(text: &str) -> Cow<'_, str> {
    let in_secret = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let is_secret = |word: &str| {
        let (kind, rest) = word.split_once('_').unwrap_or_default();
        kind.len() >= 3
            && kind.bytes().rev().take(3).all(|byte| byte.is_ascii_lowercase())
            && rest.len() >= SECRET_CHARS
    };
    if !text.split(|c| !in_secret(c)).any(is_secret) {
        return Cow::Borrowed(text);
    }
    let mut masked = String::with_capacity(text.len());
    for piece in text.split_inclusive(|c| !in_secret(c)) {
        let word = piece.trim_end_matches(|c| !in_secret(c));
        masked.push_str(if is_secret(word) { "[SECRET]" } else { word });
        masked.push_str(&piece[word.len()..]);
    }
    Cow::Owned(masked)
}

/// Characters of the shortest credential after its kind.
const SECRET_CHARS: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_is_told_nothing() {
        let check = |text: &str, expected: &str, line: &str| {
            assert_eq!(plain(text), expected, "{text:?}");
            assert_eq!(one_line(text, 9), line, "{text:?}");
        };
        check("a\tb\nÄ", "a\tb\nÄ", "abÄ");
        check("\u{1b}]0;title\u{7}HTTP 200\r\n\u{9b}2J", "]0;titleHTTP 200\n2J", "]0;titleH");
    }

    #[test]
    fn a_command_that_does_not_start_is_told_with_what_to_do() {
        let check = |program: &str, kind: io::ErrorKind, expected: &str| {
            let error = Error::not_started(OsStr::new(program), kind.into());
            assert_eq!(error.public, format!("{program} cannot be started: {expected}."));
            assert_eq!(error.kind.exit_code(), 2);
        };
        check(
            "nosuch",
            io::ErrorKind::NotFound,
            "PATH has no such command; install it, or give its whole path",
        );
        check("./run", io::ErrorKind::NotFound, "there is no such file, or its #! line names none");
        check(
            "a.py",
            io::ErrorKind::PermissionDenied,
            "it may not be executed; chmod +x it, or name its interpreter",
        );
        check("x", io::ErrorKind::OutOfMemory, "out of memory");
    }

    #[test]
    fn credentials_are_masked() {
        let check = |text: &str, expected: &str| assert_eq!(without_secrets(text), expected);
        let secret = format!("mat_ab12_{}", "aB-_9".repeat(13));
        check("", "");
        check("a plain text, with_words and-dashes…", "a plain text, with_words and-dashes…");
        check(&secret, "[SECRET]");
        check(&format!("é{secret}é, {secret}"), "é[SECRET]é, [SECRET]");
        check(&format!("/mcp/t/{secret}/?token={secret}&a=b"), "/mcp/t/[SECRET]/?token=[SECRET]&a=b");
        check(&format!("cha_{}", "0".repeat(49)), "[SECRET]");
        check(&"x".repeat(200), &"x".repeat(200));
    }
}
