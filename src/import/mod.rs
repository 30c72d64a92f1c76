//! Importing: files of other places become rows of the store.
//!
//! A [`Source`] reads one file and gives out what it finds, row by row; an [`Importer`] puts the rows into the store in
//! batches and counts. A row is whole in the store or not at all, and one that is not is named by line and reason.
//! Imports nothing of ours but the store and what is below it.

pub(crate) mod csv;
mod html;
mod importer;
mod jsonl;
mod lines;
pub mod record;
mod shopify;
mod source;
mod tally;

use record::Record;

pub use importer::Importer;
pub use lines::LINE_BYTES_MAX;
pub use source::{Options, Source};
pub use tally::{Counts, Skipped, Tally};

/// What a source found.
#[derive(Debug)]
pub struct Row {
    /// The line it begins on, from 1.
    pub line: u64,
    /// Bytes that it takes up in its file, about.
    pub bytes: usize,
    /// What kind of thing it is, one of [`Record::KINDS`], if that much can be told.
    pub kind: Option<&'static str>,
    /// The thing, or why it is none.
    pub content: Result<Record, Refused>,
}

/// Why a row does not go into the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It is not what it must be: the field, what came and what is wanted.
    Wrong(String),
    /// It is a product that visitors of the shop cannot buy now; if the store has it, it is taken out.
    NotForSale {
        /// What it is known again by.
        external_id: String,
        /// Why not: `it is a draft`.
        reason: &'static str,
    },
}

impl Row {
    fn wrong(line: u64, kind: Option<&'static str>, reason: impl Into<String>) -> Row {
        Row { line, bytes: 0, kind, content: Err(Refused::Wrong(reason.into())) }
    }
}
