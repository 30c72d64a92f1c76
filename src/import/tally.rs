//! What an import did: counts for each kind, and what was not put in.

use std::collections::BTreeMap;

use super::record::Record;
use crate::store::Put;

/// Skipped rows that are kept with their reasons; more are counted.
const SKIPPED_MAX: usize = 100_000;

/// What became of the things of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Were not there.
    pub created: u64,
    /// Were there with other content.
    pub updated: u64,
    /// Were there as they are.
    pub unchanged: u64,
    /// Are not for sale now.
    pub left_out: u64,
    /// Are wrong.
    pub skipped: u64,
}

/// A row that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Skipped {
    /// The number of its file, in the order of the files, from 0.
    pub file: usize,
    /// Its line, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub reason: String,
}

/// The outcome of an import.
#[derive(Debug, Default)]
pub struct Tally {
    counts: BTreeMap<Option<usize>, Counts>,
    /// How many products were left out, for each reason.
    pub left_out: BTreeMap<&'static str, u64>,
    /// How many of those were in the store before, and are not any more.
    pub removed: u64,
    /// The rows that are wrong: at most 100,000 of them, in the order of their lines.
    pub skipped: Vec<Skipped>,
}

impl Tally {
    /// What became of each kind that came, in the order of [`Record::KINDS`]; rows of which not even the kind can be
    /// told are "unreadable", and last.
    pub fn kinds(&self) -> impl Iterator<Item = (&'static str, Counts)> + '_ {
        let named = self.counts.iter().filter_map(|(kind, counts)| Some((Record::KINDS[(*kind)?], *counts)));
        named.chain(self.counts.get(&None).map(|counts| ("unreadable", *counts)))
    }

    /// What became of all.
    pub fn total(&self) -> Counts {
        self.counts.values().fold(Counts::default(), |a, b| Counts {
            created: a.created + b.created,
            updated: a.updated + b.updated,
            unchanged: a.unchanged + b.unchanged,
            left_out: a.left_out + b.left_out,
            skipped: a.skipped + b.skipped,
        })
    }

    pub(super) fn put(&mut self, kind: &'static str, put: Put) {
        let counts = self.of(Some(kind));
        match put {
            Put::Created(_) => counts.created += 1,
            Put::Updated(_) => counts.updated += 1,
            Put::Unchanged(_) => counts.unchanged += 1,
        }
    }

    pub(super) fn left_out(&mut self, reason: &'static str, removed: bool) {
        self.of(Some("product")).left_out += 1;
        self.removed += u64::from(removed);
        *self.left_out.entry(reason).or_default() += 1;
    }

    pub(super) fn skipped(&mut self, kind: Option<&'static str>, skipped: Skipped) {
        self.of(kind).skipped += 1;
        if self.skipped.len() < SKIPPED_MAX {
            self.skipped.push(skipped);
        }
    }

    fn of(&mut self, kind: Option<&'static str>) -> &mut Counts {
        let rank = kind.and_then(|kind| Record::KINDS.iter().position(|known| *known == kind));
        self.counts.entry(rank).or_default()
    }
}
