//! Cursors: where a list goes on, signed together with the tool, its filters, the organisation and the chatbots that the
//! credential is limited to, so that a cursor means something only where it came from. They do not expire and may be used again.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Cx, Refusal};

/// The longest cursor that is looked at.
const CURSOR_BYTES_MAX: usize = 1_024;
const LABEL: &str = "mcu";

impl Cx<'_> {
    /// The cursor that goes on after `position`.
    pub fn cursor(&self, position: &impl Serialize) -> Result<String, Refusal> {
        let payload = serde_json::to_vec(position).map_err(crate::error::Error::internal)?;
        let organisation = self.tx.tenant().key().to_be_bytes();
        let filters = self.filters();
        let parts: [&[u8]; 3] = [self.spec.name.as_bytes(), &organisation, filters.as_bytes()];
        Ok(self.keyring.seal(LABEL, &parts, &payload))
    }

    /// The position that `cursor` goes on after; `None` for no cursor.
    ///
    /// # Errors
    /// `invalid_arguments` when it did not come from this tool with these filters.
    pub fn position<P: DeserializeOwned>(&self, cursor: Option<&str>) -> Result<Option<P>, Refusal> {
        let Some(cursor) = cursor else { return Ok(None) };
        self.verified(cursor).map(Some).ok_or_else(|| {
            Refusal::arguments(
                "cursor: not one that this tool gave for these filters; wanted the next_cursor of the previous \
                 answer with the other arguments unchanged, or no cursor to start over.",
            )
        })
    }

    fn verified<P: DeserializeOwned>(&self, cursor: &str) -> Option<P> {
        let organisation = self.tx.tenant().key().to_be_bytes();
        let filters = self.filters();
        let parts: [&[u8]; 3] = [self.spec.name.as_bytes(), &organisation, filters.as_bytes()];
        let cursor = Some(cursor).filter(|cursor| cursor.len() <= CURSOR_BYTES_MAX)?;
        serde_json::from_slice(&self.keyring.unseal(LABEL, &parts, cursor)?).ok()
    }

    /// The arguments that a cursor is bound to, in one order: all but the cursor and the size of the page. After them the
    /// chatbots that the credential is limited to.
    fn filters(&self) -> String {
        let mut filters: Vec<(&String, &Value)> = self.arguments.as_object().into_iter().flatten().collect();
        filters.retain(|(name, _)| !matches!(name.as_str(), "cursor" | "limit"));
        filters.sort_by_key(|(name, _)| *name);
        let mut text = serde_json::to_string(&filters).unwrap_or_default();
        text.push_str(self.tx.chatbots().unwrap_or_default());
        text
    }
}
