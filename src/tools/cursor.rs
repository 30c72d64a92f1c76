//! Cursors: where a list goes on, signed together with the tool, its filters, the organisation and the chatbots that the
//! credential is limited to, so that a cursor means something only where it came from. They do not expire and may be used again.

use data_encoding::BASE64URL_NOPAD;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Cx, Refusal};

/// Bytes of the signature that are kept.
const TAG_BYTES: usize = 16;
/// The longest cursor that is looked at.
const CURSOR_BYTES_MAX: usize = 1_024;
const LABEL: &str = "mcu";

impl Cx<'_> {
    /// The cursor that goes on after `position`.
    pub fn cursor(&self, position: &impl Serialize) -> Result<String, Refusal> {
        let payload = serde_json::to_vec(position).map_err(crate::error::Error::internal)?;
        let organisation = self.tx.tenant().key().to_be_bytes();
        let filters = self.filters();
        let signature = self
            .keyring
            .sign(LABEL, &[self.spec.name.as_bytes(), &organisation, filters.as_bytes(), &payload]);
        let mut bytes = payload;
        bytes.extend_from_slice(&signature.tag[..TAG_BYTES]);
        Ok(format!("{}.{}", signature.kid, BASE64URL_NOPAD.encode(&bytes)))
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
        let (kid, text) = cursor.split_once('.').filter(|_| cursor.len() <= CURSOR_BYTES_MAX)?;
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
        let (payload, tag) = bytes.split_at_checked(bytes.len().checked_sub(TAG_BYTES)?)?;
        let organisation = self.tx.tenant().key().to_be_bytes();
        let filters = self.filters();
        let parts: [&[u8]; 4] = [self.spec.name.as_bytes(), &organisation, filters.as_bytes(), payload];
        if !self.keyring.verify(LABEL, kid, &parts, tag) {
            return None;
        }
        serde_json::from_slice(payload).ok()
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
