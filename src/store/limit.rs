//! The limit of a credential to some chatbots: its transactions see an organisation that has no others.
//!
//! The limit travels with the [`TenantTx`] and is put into every statement that goes through it, so no function of the
//! store, and no tool, has to think of it. Each table of [`BOUND`] is shadowed by a common table expression of the same
//! name that holds only the rows of those chatbots; SQLite flattens that into the query around it and goes on using the
//! indexes. What a statement changes in such a table is looked at after: a row of another chatbot is a fault of ours,
//! and undoes the call. Without a limit, statements are prepared as they are written.
//!
//! The full-text index of products has no rows to leave out, for its postings are blobs; [`Visible`] masks those.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::TenantTx;
use super::index::{BLOCK_ITEMS, POSTING_BYTES, Space};
use crate::error::{Error, Result};

/// The parameter that holds the chatbots, as a JSON array: above those of every statement.
pub(super) const PLACE: usize = 99;

/// A table that holds things of chatbots, and what of it a limited transaction sees. Here `t` is the table.
pub(super) struct Bound {
    /// Its name.
    pub(super) table: &'static str,
    /// Its columns, all of them.
    columns: &'static str,
    /// Its rows; this may name tables that stand before it in the list, and means what is left of them.
    rows: &'static str,
}

const fn bound(table: &'static str, rows: &'static str) -> Bound {
    Bound { table, columns: "t.*", rows }
}

/// Rows of one of the chatbots. The plus keeps SQLite from preferring an index by chatbot to the one that has the rows
/// in the order that a list wants.
const BY_CHATBOT: &str = "+t.chatbot IN (SELECT value FROM json_each(?99))";
/// Whether one of the chatbots is connected to no catalogue, and so answers from all of them.
macro_rules! every_catalogue {
    () => {
        "EXISTS (SELECT 1 FROM chatbot b WHERE b.organisation = ?1 AND NOT EXISTS (SELECT 1 FROM knowledge_source s \
         WHERE s.organisation = ?1 AND s.chatbot = b.id AND s.kind = 'products' AND s.name <> ''))"
    };
}

const BY_TICKET: &str = "EXISTS (SELECT 1 FROM ticket k WHERE k.organisation = ?1 AND k.id = t.ticket)";
/// Products of the catalogues that one of the chatbots answers from; see [`super::knowledge`].
const BY_CATALOGUE: &str = concat!(
    every_catalogue!(),
    " OR t.source IN (SELECT name FROM knowledge_source \
     WHERE organisation = ?1 AND kind = 'products')"
);

/// Every table that is bound to chatbots, by a column of its own or through what it belongs to. A test holds this
/// against the schema. A visible row may still name one that is left out: nothing is found under that name.
pub(super) const BOUND: [Bound; 15] = [
    bound("chatbot", "+t.id IN (SELECT value FROM json_each(?99))"),
    bound("chatbot_version", BY_CHATBOT),
    bound("sales_rule", BY_CHATBOT),
    bound("training_job", BY_CHATBOT),
    bound("knowledge_source", BY_CHATBOT),
    bound("analytics_day", BY_CHATBOT),
    bound("document", "t.chatbot IS NULL OR +t.chatbot IN (SELECT value FROM json_each(?99))"),
    bound("product", BY_CATALOGUE),
    bound("product_code", "EXISTS (SELECT 1 FROM product p WHERE p.organisation = ?1 AND p.id = t.product)"),
    bound("conversation", BY_CHATBOT),
    bound(
        "message",
        "EXISTS (SELECT 1 FROM conversation c WHERE c.organisation = ?1 AND c.id = t.conversation)",
    ),
    Bound {
        table: "ticket",
        columns: "t.row, t.organisation, t.id, t.external_id, t.chatbot, (SELECT c.id FROM conversation c \
                  WHERE c.organisation = ?1 AND c.id = t.conversation) AS conversation, t.subject, t.status, \
                  t.priority, t.assignee, t.contact_name, t.contact_email, t.created_at, t.updated_at",
        rows: BY_CHATBOT,
    },
    bound("ticket_message", BY_TICKET),
    bound("ticket_status_change", BY_TICKET),
    Bound {
        table: "lead",
        columns: "t.row, t.organisation, t.id, t.external_id, t.chatbot, (SELECT c.id FROM conversation c \
                  WHERE c.organisation = ?1 AND c.id = t.conversation) AS conversation, t.email, t.name, t.phone, \
                  t.captured_at",
        rows: BY_CHATBOT,
    },
];

/// What stands before every statement.
static WITH: LazyLock<String> = LazyLock::new(|| {
    let shadow = |Bound { table, columns, rows }: &Bound| {
        format!(
            "{table} AS NOT MATERIALIZED \
             (SELECT {columns} FROM main.{table} t WHERE t.organisation = ?1 AND ({rows}))"
        )
    };
    let shadows: Vec<String> = BOUND.iter().map(shadow).collect();
    format!("WITH {} ", shadows.join(", "))
});

/// The chatbots, and what was found out about them in this transaction.
pub(super) struct Limit {
    /// Their numbers, ascending, each once, as a JSON array.
    pub(super) chatbots: String,
    /// What is left of each space of the index; `None` inside is all of it.
    visible: [OnceCell<Option<Visible>>; Space::COUNT],
}

/// A statement as a limited transaction runs it.
pub(super) struct Statement {
    pub(super) sql: String,
    /// The bound table that it changes; it then answers for each changed row whether that is of the chatbots.
    pub(super) changes: Option<&'static str>,
}

impl Limit {
    /// To these chatbots, in any order; none at all is possible.
    pub(super) fn to(chatbots: &[i64]) -> Limit {
        let mut chatbots = chatbots.to_vec();
        chatbots.sort_unstable();
        chatbots.dedup();
        let numbers: Vec<String> = chatbots.iter().map(i64::to_string).collect();
        Limit { chatbots: format!("[{}]", numbers.join(",")), visible: Default::default() }
    }

    /// `sql` within the limit.
    ///
    /// # Errors
    /// `Internal` for a change that cannot be held to it.
    pub(super) fn statement(&self, sql: &str) -> Result<Statement> {
        let mut sql = format!("{}{}", *WITH, without_index_names(sql));
        let changed = changed_table(&sql[WITH.len()..])
            .and_then(|table| BOUND.iter().find(|bound| bound.table == table));
        let Some(changed) = changed else { return Ok(Statement { sql, changes: None }) };
        let column = match changed {
            Bound { table: "chatbot", .. } => "id",
            Bound { rows: BY_CHATBOT, .. } => "chatbot",
            _ => return Err(beyond(changed.table)),
        };
        sql.push_str(&format!(" RETURNING {column} IN (SELECT value FROM json_each(?{PLACE}))"));
        Ok(Statement { sql, changes: Some(changed.table) })
    }
}

/// A change that a limited transaction must not make.
pub(super) fn beyond(table: &str) -> Error {
    Error::internal(format!("a change of {table} beyond the credential's chatbots"))
}

/// The table that an INSERT, UPDATE or DELETE changes.
fn changed_table(sql: &str) -> Option<&str> {
    let mut words = sql.split([' ', '(']).filter(|word| !word.is_empty());
    match words.next()? {
        "INSERT" | "REPLACE" => words.find(|word| *word == "INTO").and_then(|_| words.next()),
        "DELETE" => words.nth(1),
        "UPDATE" => words.next(),
        _ => None,
    }
}

/// `sql` without its INDEXED BY clauses, which a shadowed table cannot have.
fn without_index_names(sql: &str) -> String {
    let mut parts = sql.split(" INDEXED BY ");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        plain.push_str(part.find(' ').map_or("", |end| &part[end..]));
    }
    plain
}

/// The items of a space of the full-text index that a limited transaction sees.
pub(super) struct Visible {
    /// A bit for each, by block.
    blocks: BTreeMap<i64, u128>,
    /// How many there are, and how many words they have in all.
    pub(super) totals: (i64, i64),
}

impl Visible {
    /// What `tx` sees of `space`; `None` when it sees everything.
    pub(super) fn of<'a>(tx: &'a TenantTx<'_>, space: Space) -> Result<Option<&'a Visible>> {
        let Some(limit) = &tx.limit else { return Ok(None) };
        let cell = &limit.visible[space.place()];
        if cell.get().is_none() {
            let found = Visible::find(tx, space)?;
            return Ok(cell.get_or_init(|| found).as_ref());
        }
        Ok(cell.get().and_then(Option::as_ref))
    }

    fn find(tx: &TenantTx<'_>, space: Space) -> Result<Option<Visible>> {
        if space.table() == "product" && tx.number(concat!("SELECT ", every_catalogue!()), &[])? == 1 {
            return Ok(None);
        }
        let sql = format!(
            "SELECT item, length FROM search_entry WHERE organisation = ?1 AND space = ?2 AND EXISTS \
             (SELECT 1 FROM {} p WHERE p.organisation = ?1 AND p.id = search_entry.item)",
            space.table()
        );
        let mut visible = Visible { blocks: BTreeMap::new(), totals: (0, 0) };
        tx.for_each(&sql, &[&(space as i64)], |row| {
            let (item, length): (i64, i64) = (row.get(0)?, row.get(1)?);
            *visible.blocks.entry(item.div_euclid(BLOCK_ITEMS)).or_default() |=
                1 << item.rem_euclid(BLOCK_ITEMS);
            visible.totals.0 += 1;
            visible.totals.1 += length;
            Ok(())
        })?;
        Ok(Some(visible))
    }

    /// Takes the postings of other items out of what [`super::index::blocks`] found.
    pub(super) fn mask(&self, found: &mut Vec<(i64, Vec<u8>)>) {
        found.retain_mut(|(block, bytes)| {
            let bits = self.blocks.get(block).copied().unwrap_or_default();
            let postings = bytes.as_chunks::<POSTING_BYTES>().0.iter();
            *bytes =
                postings.filter(|posting| bits >> (posting[0] & 127) & 1 == 1).flatten().copied().collect();
            !bytes.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;
    use crate::tools::testing::Shop;

    /// Columns that name a chatbot or something of one; a table that has any of them is bound to chatbots.
    const REFERENCES: [&str; 4] = ["chatbot", "conversation", "ticket", "product"];

    fn names(database: &Connection, sql: &str) -> Vec<String> {
        let mut statement = database.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.map(|name| name.unwrap()).collect()
    }

    #[test]
    fn the_list_has_every_table_that_is_bound_with_all_its_columns() {
        let shop = Shop::new();
        let database = Connection::open(shop.store.path()).unwrap();
        let tables = names(
            &database,
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'",
        );
        for table in &tables {
            let columns = names(&database, &format!("SELECT name FROM pragma_table_info('{table}')"));
            let refers = columns.iter().any(|column| REFERENCES.contains(&column.as_str()));
            let listed = BOUND.iter().find(|bound| bound.table == table);
            assert_eq!(
                refers || matches!(table.as_str(), "chatbot" | "product"),
                listed.is_some(),
                "{table}"
            );
            if let Some(bound) = listed {
                let sql = format!("{} SELECT * FROM {table}", *WITH);
                assert_eq!(database.prepare(&sql).unwrap().column_names(), columns, "{}", bound.table);
            }
        }
        assert!(BOUND.iter().all(|bound| tables.iter().any(|table| table == bound.table)));
    }

    #[test]
    fn statements_without_a_limit_are_as_they_are_written() {
        let shop = Shop::new();
        shop.seed(|tx| {
            let sql = "SELECT id FROM chatbot WHERE organisation = ?1";
            let expanded = tx.prepare(sql, &[])?.expanded_sql();
            assert_eq!(expanded, Some(sql.replace("?1", &tx.tenant().key().to_string())));
            Ok(())
        });
    }

    #[test]
    fn a_change_of_another_chatbot_is_refused() {
        let shop = Shop::new();
        let tenant = shop.tenant;
        shop.seed(|tx| (1..=2).try_for_each(|id| crate::store::testing::chatbot(tx, id, "Bot")));
        let check = |sql: &'static str, expected: bool| {
            let done = shop.store.write(crate::store::Durability::Process, move |tx| {
                tx.tenant_within(tenant, Some(&[1])).execute(sql, &[])
            });
            assert_eq!(done.is_ok(), expected, "{sql}: {done:?}");
        };
        check("UPDATE chatbot SET version = 9 WHERE organisation = ?1 AND id = 1", true);
        check("UPDATE chatbot SET version = 9 WHERE organisation = ?1 AND id = 2", false);
        check("UPDATE chatbot SET version = 9 WHERE organisation = ?1", false);
        check("DELETE FROM chatbot_version WHERE organisation = ?1 AND chatbot = 2", false);
        let version = |chatbot| {
            format!(
                "INSERT INTO chatbot_version (organisation, chatbot, version, settings, origin, actor, at) \
                 VALUES (?1, {chatbot}, 7, '', '', '', 0)"
            )
        };
        check(version(1).leak(), true);
        check(version(2).leak(), false);
        check("DELETE FROM chatbot_version WHERE organisation = ?1 AND chatbot = 1", true);
        check("DELETE FROM message WHERE organisation = ?1", false);
        check("UPDATE organisation SET name = 'A' WHERE id = ?1", true);
    }

    #[test]
    fn index_names_are_left_out() {
        let check = |sql: &str, expected: &str| assert_eq!(without_index_names(sql), expected);
        check("SELECT 1", "SELECT 1");
        check("SELECT 1 FROM a INDEXED BY b WHERE c", "SELECT 1 FROM a WHERE c");
        check("SELECT 1 FROM a INDEXED BY b", "SELECT 1 FROM a");
    }
}
