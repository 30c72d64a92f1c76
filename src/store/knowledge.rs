//! Knowledge sources: what a chatbot answers from.
//!
//! A chatbot uses the catalogues it was connected to; one that was connected to none uses every catalogue. It uses its
//! own documents and custom content, and those that belong to no chatbot.

use serde::{Deserialize, Serialize};

use super::choice::choice;
use super::product::{self, Filter};
use super::{Put, TenantTx, chatbot, document, limits};
use crate::clock::Time;
use crate::error::Result;

choice! {
    /// What sort of source.
    Kind {
        /// A catalogue of products, or all of them.
        Products = "products",
        /// Pages and files.
        Documents = "documents",
        /// What was typed in for the chatbot.
        Custom = "custom",
    }
}

impl Kind {
    /// The documents of that sort; none for products.
    pub fn document(self) -> Option<document::Kind> {
        match self {
            Kind::Products => None,
            Kind::Documents => Some(document::Kind::Document),
            Kind::Custom => Some(document::Kind::Custom),
        }
    }
}

/// A source of one chatbot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Source {
    /// `products`, `documents` or `custom`.
    pub kind: Kind,
    /// The catalogue; empty for all catalogues, and for documents and custom content.
    pub name: String,
    /// How many things it has now.
    pub items: i64,
    /// When a retraining last indexed it; what is put later is indexed at once.
    pub indexed_at: Option<Time>,
}

/// A connection as it is put into the store; as JSONL one object of these members with `"type": "knowledge_source"`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewSource {
    /// The chatbot's external id.
    pub chatbot: String,
    /// The catalogue it is to use; 1 to 64 characters.
    pub catalogue: String,
}

/// Connects a catalogue to a chatbot; the number of the answer is the chatbot's.
///
/// # Errors
/// `Invalid` when there is no such chatbot or the name is empty or too long.
pub fn put(tx: &TenantTx<'_>, new: &NewSource) -> Result<Put> {
    let chatbot = chatbot::referred(tx, &new.chatbot)?;
    let name = limits::text("catalogue", &new.catalogue, 1, 64)?;
    let made = connect(tx, chatbot, Kind::Products, &name)?;
    Ok(if made { Put::Created(chatbot) } else { Put::Unchanged(chatbot) })
}

/// Connects a source to a chatbot that is there; whether it was not connected before.
pub fn connect(tx: &TenantTx<'_>, chatbot: i64, kind: Kind, name: &str) -> Result<bool> {
    let sql = "INSERT INTO knowledge_source (organisation, chatbot, kind, name) VALUES (?1, ?2, ?3, ?4) \
               ON CONFLICT DO NOTHING";
    Ok(tx.execute(sql, &[&chatbot, &kind, &name])? > 0)
}

/// The catalogues that a chatbot is held to; `None` when it uses every one.
pub fn catalogues(tx: &TenantTx<'_>, chatbot: i64) -> Result<Option<Vec<String>>> {
    let sql = "SELECT name FROM knowledge_source WHERE organisation = ?1 AND chatbot = ?2 AND kind = 'products' \
               AND name <> '' ORDER BY name";
    let names: Vec<String> = tx.all(sql, &[&chatbot], |row| Ok(row.get(0)?))?;
    Ok((!names.is_empty()).then_some(names))
}

/// What a chatbot answers from: the catalogues it was connected to, or all of them as one source, then documents, then
/// custom content. Without those that have nothing, unless they were connected.
pub fn sources(tx: &TenantTx<'_>, chatbot: i64) -> Result<Vec<Source>> {
    let mut found = Vec::new();
    match catalogues(tx, chatbot)? {
        Some(names) => {
            for name in names {
                found.push(source(tx, chatbot, Kind::Products, name)?);
            }
        }
        None => found.push(source(tx, chatbot, Kind::Products, String::new())?),
    }
    for kind in [Kind::Documents, Kind::Custom] {
        found.push(source(tx, chatbot, kind, String::new())?);
    }
    found.retain(|source| source.items > 0 || !source.name.is_empty());
    Ok(found)
}

/// Notes that a retraining has indexed a source.
pub fn indexed(tx: &TenantTx<'_>, chatbot: i64, source: &Source, now: Time) -> Result<()> {
    let sql = "INSERT INTO knowledge_source (organisation, chatbot, kind, name, indexed_at) \
               VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO UPDATE SET indexed_at = excluded.indexed_at";
    tx.execute(sql, &[&chatbot, &source.kind, &source.name, &now.0])?;
    Ok(())
}

fn source(tx: &TenantTx<'_>, chatbot: i64, kind: Kind, name: String) -> Result<Source> {
    let items = match kind.document() {
        Some(kind) => document::count(tx, chatbot, kind)?,
        None => product::count(tx, &of_catalogue(&name))?,
    };
    let sql = "SELECT indexed_at FROM knowledge_source \
               WHERE organisation = ?1 AND chatbot = ?2 AND kind = ?3 AND name = ?4";
    let indexed_at: Option<Option<i64>> = tx.first(sql, &[&chatbot, &kind, &name], |row| Ok(row.get(0)?))?;
    Ok(Source { kind, name, items, indexed_at: indexed_at.flatten().map(Time) })
}

/// The products of one catalogue; of all, when the name is empty.
pub fn of_catalogue(name: &str) -> Filter {
    Filter { sources: (!name.is_empty()).then(|| vec![name.to_owned()]), ..Filter::default() }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::error::Kind as ErrorKind;
    use crate::store::document::NewDocument;
    use crate::store::product::NewProduct;
    use crate::tools::testing::{NOW, Shop};

    /// A chatbot with this external id.
    pub fn chatbot(tx: &TenantTx<'_>, external_id: &str) -> Result<i64> {
        let id = tx.next_id("chatbot")?;
        let sql = "INSERT INTO chatbot (organisation, id, external_id, name, description, platform, enabled, \
                   is_primary, instructions, model, temperature, language, strictness, primary_color, \
                   background_color, text_color, position, bubble_style, welcome_message, input_placeholder, \
                   thinking_label, submit_label, version, created_at, updated_at) VALUES (?1, ?2, ?3, ?3, '', 'web', \
                   1, 0, '', 'm', 0.5, 'en', 'balanced', '#000', '#fff', '#000', 'right', 'rounded', '', '', '', '', \
                   1, 0, 0)";
        tx.execute(sql, &[&id, &external_id])?;
        Ok(id)
    }

    fn product(source: &str, handle: &str) -> NewProduct {
        NewProduct {
            source: source.into(),
            handle: handle.into(),
            title: handle.into(),
            ..NewProduct::default()
        }
    }

    fn shown(tx: &TenantTx<'_>, chatbot: i64) -> Vec<(Kind, String, i64)> {
        sources(tx, chatbot).unwrap().into_iter().map(|s| (s.kind, s.name, s.items)).collect()
    }

    #[test]
    fn a_chatbot_uses_every_catalogue_until_it_is_connected_to_one() {
        Shop::new().seed(|tx| {
            let bot = chatbot(tx, "bot")?;
            assert_eq!(shown(tx, bot), []);
            product::put(tx, &product("shopify", "a"), NOW)?;
            product::put(tx, &product("woo", "b"), NOW)?;
            assert_eq!(shown(tx, bot), [(Kind::Products, String::new(), 2)]);
            let new = NewSource { chatbot: "bot".into(), catalogue: "woo".into() };
            assert_eq!(put(tx, &new)?, Put::Created(bot));
            assert_eq!(put(tx, &new)?, Put::Unchanged(bot));
            assert_eq!(shown(tx, bot), [(Kind::Products, "woo".into(), 1)]);
            let unknown = put(tx, &NewSource { chatbot: "other".into(), catalogue: "woo".into() });
            assert_eq!(unknown.unwrap_err().kind, ErrorKind::Invalid);
            Ok(())
        });
    }

    #[test]
    fn documents_belong_to_a_chatbot_or_to_all() {
        Shop::new().seed(|tx| {
            let (one, two) = (chatbot(tx, "one")?, chatbot(tx, "two")?);
            let mut new =
                NewDocument { external_id: "d".into(), title: "Returns".into(), ..NewDocument::default() };
            assert_eq!(document::put(tx, &new, NOW)?, Put::Created(1));
            assert_eq!(document::put(tx, &new, NOW)?, Put::Unchanged(1));
            assert_eq!(shown(tx, two), [(Kind::Documents, String::new(), 1)]);
            new.chatbot = Some("one".into());
            new.kind = document::Kind::Custom;
            assert_eq!(document::put(tx, &new, NOW)?, Put::Updated(1));
            assert_eq!(shown(tx, one), [(Kind::Custom, String::new(), 1)]);
            assert_eq!(shown(tx, two), []);
            Ok(())
        });
    }
}
