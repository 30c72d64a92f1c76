//! The five revisions of the protocol, the two eras, and what each revision has.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A revision of the Model Context Protocol, oldest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Revision {
    /// The first one.
    #[serde(rename = "2024-11-05")]
    V2024_11_05,
    /// Brought Streamable HTTP, tool annotations and, for itself alone, batches.
    #[serde(rename = "2025-03-26")]
    V2025_03_26,
    /// Brought structured results and titles; took the batches away.
    #[serde(rename = "2025-06-18")]
    V2025_06_18,
    /// The last one with a handshake.
    #[serde(rename = "2025-11-25")]
    V2025_11_25,
    /// The first one without: each request says version, client and capabilities.
    #[serde(rename = "2026-07-28")]
    V2026_07_28,
}

/// Every revision served, newest first: the order of `supportedVersions`.
pub const SUPPORTED: [Revision; 5] = [
    Revision::V2026_07_28,
    Revision::V2025_11_25,
    Revision::V2025_06_18,
    Revision::V2025_03_26,
    Revision::V2024_11_05,
];

impl Revision {
    /// The revision without a handshake.
    pub const MODERN: Revision = Revision::V2026_07_28;
    /// What a handshake ends in when the client asks for a revision that has none, or that nobody knows.
    pub const LAST_LEGACY: Revision = Revision::V2025_11_25;

    /// The revision of this name, such as `2025-06-18`.
    pub fn parse(name: &str) -> Option<Revision> {
        SUPPORTED.into_iter().find(|revision| revision.as_str() == name)
    }

    /// Its name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Revision::V2024_11_05 => "2024-11-05",
            Revision::V2025_03_26 => "2025-03-26",
            Revision::V2025_06_18 => "2025-06-18",
            Revision::V2025_11_25 => "2025-11-25",
            Revision::V2026_07_28 => "2026-07-28",
        }
    }

    /// The revision a handshake ends in when the client asks for `name`.
    pub fn negotiate(name: &str) -> Revision {
        Revision::parse(name).filter(|revision| !revision.is_modern()).unwrap_or(Revision::LAST_LEGACY)
    }

    /// Whether requests stand for themselves: no handshake, no session.
    pub fn is_modern(self) -> bool {
        self >= Revision::V2026_07_28
    }

    /// Whether several messages may come as one JSON array.
    pub fn has_batches(self) -> bool {
        self == Revision::V2025_03_26
    }

    /// Whether tools carry `annotations`.
    pub fn has_annotations(self) -> bool {
        self >= Revision::V2025_03_26
    }

    /// Whether arguments can be completed as a capability of its own, and progress has a `message`.
    pub fn has_completions(self) -> bool {
        self >= Revision::V2025_03_26
    }

    /// Whether there are `structuredContent`, `outputSchema` and `title`.
    pub fn has_structured_content(self) -> bool {
        self >= Revision::V2025_06_18
    }

    /// Whether the server may give its website.
    pub fn has_website(self) -> bool {
        self >= Revision::V2025_11_25
    }
}

/// Whether a version header can only come from a client of the modern era: a date from 2026-07-28 on, known or not.
pub fn names_modern(version: &str) -> bool {
    let is_date = version.len() == 10
        && version
            .bytes()
            .enumerate()
            .all(|(i, b)| if i == 4 || i == 7 { b == b'-' } else { b.is_ascii_digit() });
    is_date && version >= Revision::MODERN.as_str()
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_negotiates() {
        let check = |asked: &str, expected: &str| assert_eq!(Revision::negotiate(asked).as_str(), expected);
        check("2024-11-05", "2024-11-05");
        check("2025-03-26", "2025-03-26");
        check("2025-06-18", "2025-06-18");
        check("2025-11-25", "2025-11-25");
        check("2026-07-28", "2025-11-25");
        check("1999-01-01", "2025-11-25");
        check("", "2025-11-25");
    }

    #[test]
    fn knows_a_modern_header() {
        let check = |version: &str, expected: bool| assert_eq!(names_modern(version), expected, "{version}");
        check("2026-07-28", true);
        check("2027-01-01", true);
        check("2025-11-25", false);
        check("zzzz", false);
        check("DRAFT-2026", false);
        check("2026-07-2x", false);
    }

    #[test]
    fn is_stored_under_its_name() {
        for revision in SUPPORTED {
            let json = serde_json::to_string(&revision).unwrap();
            assert_eq!(json, format!("\"{revision}\""));
            assert_eq!(serde_json::from_str::<Revision>(&json).unwrap(), revision);
        }
    }
}
