//! What a check is.

use std::pin::Pin;

use super::bench::Bench;
use super::run::Outcome;
use crate::error::{Error, Kind};
use crate::protocol::revision::Revision;

/// How a check ended: in order, or why not.
pub type Verdict = Result<(), Stop>;

/// A check under way.
pub type Running<'a> = Pin<Box<dyn Future<Output = Verdict> + Send + 'a>>;

/// What tests it.
pub type Run = for<'a> fn(&'a mut Bench) -> Running<'a>;

/// Why a check stopped before its end.
#[derive(Debug)]
pub enum Stop {
    /// The server does not do what the sentence says: what it does.
    Fails(String),
    /// There is nothing to test: why.
    Skips(String),
    /// The server cannot be talked to.
    Breaks(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Stop {
        match error.kind {
            Kind::TooMany => Stop::Skips(error.public),
            _ => Stop::Breaks(error),
        }
    }
}

/// How much the specification wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// MUST: what breaks it fails.
    Must,
    /// SHOULD: what breaks it is warned of.
    Should,
}

impl Level {
    /// The specification's word for it (RFC 2119).
    pub fn word(self) -> &'static str {
        match self {
            Level::Must => "MUST",
            Level::Should => "SHOULD",
        }
    }
}

/// In which lane a check runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Era {
    /// In each.
    Both,
    /// In the legacy one.
    Legacy,
    /// In the modern one.
    Modern,
    /// Once, in the first lane there is: it is not about a revision.
    Once,
}

/// Over which transport a check runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// Over any.
    Any,
    /// Over HTTP.
    Http,
    /// On stdio.
    Stdio,
}

/// Where a check applies.
#[derive(Clone, Copy, Debug)]
pub struct Lifespan {
    /// The lane.
    pub era: Era,
    /// The transport.
    pub over: Over,
    /// The first revision.
    pub since: Revision,
    /// The last one.
    pub until: Revision,
}

impl Lifespan {
    /// In every lane, over any transport.
    pub const BOTH: Lifespan = Lifespan::of(Era::Both);
    /// In the legacy lane.
    pub const LEGACY: Lifespan = Lifespan::of(Era::Legacy);
    /// In the modern lane.
    pub const MODERN: Lifespan = Lifespan::of(Era::Modern);
    /// Once.
    pub const ONCE: Lifespan = Lifespan::of(Era::Once);

    const fn of(era: Era) -> Lifespan {
        Lifespan { era, over: Over::Any, since: Revision::V2024_11_05, until: Revision::V2026_07_28 }
    }

    /// The same over HTTP alone.
    pub const fn http(self) -> Lifespan {
        Lifespan { over: Over::Http, ..self }
    }

    /// The same on stdio alone.
    pub const fn stdio(self) -> Lifespan {
        Lifespan { over: Over::Stdio, ..self }
    }

    /// The same from this revision on.
    pub const fn since(self, revision: Revision) -> Lifespan {
        Lifespan { since: revision, ..self }
    }

    /// The same up to this revision.
    pub const fn until(self, revision: Revision) -> Lifespan {
        Lifespan { until: revision, ..self }
    }

    /// The newest revision that it applies in.
    pub fn newest(&self) -> Revision {
        match self.era {
            Era::Legacy => self.until.min(Revision::LAST_LEGACY),
            Era::Both | Era::Modern | Era::Once => self.until,
        }
    }

    /// Whether it applies in a lane of this revision over this transport.
    pub fn covers(&self, revision: Revision, stdio: bool) -> bool {
        let era = match self.era {
            Era::Both | Era::Once => true,
            Era::Legacy => !revision.is_modern(),
            Era::Modern => revision.is_modern(),
        };
        let over = match self.over {
            Over::Any => true,
            Over::Http => !stdio,
            Over::Stdio => stdio,
        };
        era && over && (self.since..=self.until).contains(&revision)
    }
}

/// Where the sentence stands: pages and anchors below a revision's folder of the specification, or a whole URL.
#[derive(Clone, Copy, Debug)]
pub struct Source {
    legacy: &'static str,
    modern: &'static str,
}

/// A page that is called the same in every revision, such as `server/tools#listing-tools`; or a URL of any document.
pub const fn same(page: &'static str) -> Source {
    Source { legacy: page, modern: page }
}

/// A page in the legacy revisions, and the one in the modern.
pub const fn differs(legacy: &'static str, modern: &'static str) -> Source {
    Source { legacy, modern }
}

/// The URL of `source` for this revision.
pub fn page(source: Source, revision: Revision) -> String {
    let page = if revision.is_modern() { source.modern } else { source.legacy };
    match page.starts_with("https://") {
        true => page.to_owned(),
        false => format!("https://modelcontextprotocol.io/specification/{revision}/{page}"),
    }
}

/// One check: a sentence, and where it stands.
pub struct Check {
    /// What it is called, in parts from the family down, such as `tools.list.unique-names`. It never changes.
    pub id: &'static str,
    /// What it is about, in a few words.
    pub title: &'static str,
    /// Where it applies.
    pub applies: Lifespan,
    /// How much it is wanted.
    pub level: Level,
    /// The sentence, in our words.
    pub says: &'static str,
    /// Where it stands.
    pub source: Source,
    /// The scenarios of the official suite that test it too.
    pub scenarios: &'static [&'static str],
}

/// A check that is run in a lane by itself.
pub struct Probe {
    /// What it tests.
    pub check: Check,
    /// What tests it.
    pub run: Run,
}

impl Check {
    /// How it ends where the server does otherwise than it says.
    pub(super) fn broken(&self, text: String) -> Outcome {
        match self.level {
            Level::Must => Outcome::Failed(text),
            Level::Should => Outcome::Warned(text),
        }
    }

    /// Whether `wanted` is its id, or one of the parts that its id begins with.
    pub fn is_of(&self, wanted: &str) -> bool {
        self.id.strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }
}

/// One row of a table of checks.
#[macro_export]
#[doc(hidden)]
macro_rules! conformance_checks {
    ($( $id:literal, $title:literal, $applies:expr, $level:ident, $source:expr, [$($scenario:literal),*], $run:path,
        $says:literal; )+) => {
        /// The checks of this file, in the order they run.
        pub const CHECKS: &[$crate::conformance::Probe] = &[ $( $crate::conformance::Probe {
            check: $crate::conformance::Check {
                id: $id,
                title: $title,
                applies: $applies,
                level: $crate::conformance::Level::$level,
                says: $says,
                source: $source,
                scenarios: &[$($scenario),*],
            },
            run: |bench| Box::pin($run(bench)),
        }, )+ ];
    };
}
