//! The properties that the property tests, the fuzzer and the replay of its corpora share, one row of [`TARGETS`] each.
//! Each takes any bytes and panics when it does not hold; none is part of what this crate offers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a property that fails panics

mod conversation;
mod csv;
mod diff;
mod forms;
mod framing;
mod headers;
mod message;
mod player;
mod redirect;
mod transcript;

pub use conversation::conversation;
pub use csv::csv;
pub use diff::diff;
pub use forms::forms;
pub use framing::framing;
pub use headers::headers;
pub use message::message;
pub use player::player;
pub use redirect::redirect;
pub use transcript::transcript;

/// A property that holds for any bytes.
pub struct Target {
    /// Its name: of the file in `fuzz/fuzz_targets`, and of the folder of its corpus in `protocol-fixtures/fuzz`.
    pub name: &'static str,
    /// Panics when it does not hold.
    pub holds: fn(&[u8]),
}

/// Every target.
pub const TARGETS: &[Target] = &[
    Target { name: "message", holds: message },
    Target { name: "conversation", holds: conversation },
    Target { name: "framing", holds: framing },
    Target { name: "headers", holds: headers },
    Target { name: "forms", holds: forms },
    Target { name: "redirect", holds: redirect },
    Target { name: "csv", holds: csv },
    Target { name: "transcript", holds: transcript },
    Target { name: "diff", holds: diff },
    Target { name: "player", holds: player },
];
