//! The history of a chatbot's settings, a page at a time.

use super::super::calls;
use super::super::diff::{self, Field};
use crate::clock::Time;
use crate::error::Result;
use crate::store::TenantTx;
use crate::store::chatbot::{self, Version};

/// Versions on one page.
const PAGE: usize = 10;

/// A page of the history.
pub(super) struct History {
    /// The changes, newest first.
    pub entries: Vec<Entry>,
    /// Where the next page begins, if there is one: the versions below this.
    pub older: Option<i64>,
    /// Whether this is a later page.
    pub is_later: bool,
}

/// One version and what it changed.
pub(super) struct Entry {
    /// Its number.
    pub version: i64,
    /// What made it, in words.
    pub origin: String,
    /// The name of the tool that made it; empty when none did.
    pub tool: String,
    /// Whose credential it was.
    pub actor: String,
    /// When.
    pub at: Time,
    /// What differs from the version before; empty for the first.
    pub fields: Vec<Field>,
}

impl History {
    /// The newest versions, or those below `before`.
    pub(super) fn read(tx: &TenantTx<'_>, id: i64, before: Option<i64>) -> Result<History> {
        let versions = chatbot::versions(tx, id, before, PAGE as i64 + 1)?;
        let older = versions.get(PAGE - 1).filter(|_| versions.len() > PAGE).map(|last| last.version);
        let pairs = versions.iter().enumerate().take(PAGE);
        let entries = pairs.map(|(at, version)| entry(version, versions.get(at + 1)));
        Ok(History { entries: entries.collect::<Result<_>>()?, older, is_later: before.is_some() })
    }
}

fn entry(version: &Version, earlier: Option<&Version>) -> Result<Entry> {
    let fields = earlier.map(|earlier| diff::fields(&earlier.settings, &version.settings)).transpose()?;
    Ok(Entry {
        version: version.version,
        origin: calls::origin(&version.origin).to_owned(),
        tool: calls::tool_name(&version.origin).to_owned(),
        actor: version.actor.clone(),
        at: version.at,
        fields: fields.unwrap_or_default(),
    })
}
