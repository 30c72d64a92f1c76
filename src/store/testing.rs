//! Rows for tests of what counts and lists them: written directly, with the numbers that a test wants.

use super::TenantTx;
use super::chatbot::{self, NewChatbot, Platform, Settings};
use crate::clock::Time;
use crate::error::Result;

/// What analytics know of a conversation.
#[derive(Clone, Debug)]
pub struct Talk {
    pub chatbot: i64,
    pub platform: &'static str,
    pub started_at: Time,
    pub messages: i64,
    pub first_response_ms: Option<i64>,
    pub handed_over: bool,
}

impl Talk {
    /// Two messages on the web with chatbot 1.
    pub fn at(started_at: Time) -> Talk {
        Talk {
            chatbot: 1,
            platform: "web",
            started_at,
            messages: 2,
            first_response_ms: Some(1_000),
            handed_over: false,
        }
    }
}

/// A chatbot on the web, enabled, unless it is there already. `id` is the next that is free.
pub fn chatbot(tx: &TenantTx<'_>, id: i64, name: &str) -> Result<()> {
    let settings = Settings { name: name.to_owned(), ..Settings::default() };
    let new = NewChatbot {
        external_id: Some(format!("bot-{id}")),
        platform: Platform::Web,
        is_primary: false,
        settings,
        created_at: None,
    };
    assert_eq!(chatbot::put(tx, &new, Time(0))?.id(), id);
    Ok(())
}

/// Inserts the conversation, or changes the one of that number.
pub fn put(tx: &TenantTx<'_>, id: i64, talk: &Talk) -> Result<()> {
    let sql = "UPDATE conversation SET chatbot = ?3, platform = ?4, started_at = ?5, message_count = ?6, \
               first_response_ms = ?7, handed_over_at = ?8 WHERE organisation = ?1 AND id = ?2";
    let handed_over_at = talk.handed_over.then_some(talk.started_at.0);
    let changed = tx.execute(
        sql,
        &[
            &id,
            &talk.chatbot,
            &talk.platform,
            &talk.started_at.0,
            &talk.messages,
            &talk.first_response_ms,
            &handed_over_at,
        ],
    )?;
    if changed == 0 { insert(tx, "INSERT", id, talk) } else { Ok(()) }
}

/// Inserts the conversation with `verb`, such as `INSERT OR REPLACE`.
pub fn insert(tx: &TenantTx<'_>, verb: &str, id: i64, talk: &Talk) -> Result<()> {
    let sql = format!(
        "{verb} INTO conversation (organisation, id, chatbot, platform, started_at, last_message_at, message_count, \
         first_question, first_response_ms, handed_over_at) VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6, 'Where is it?', ?7, ?8)"
    );
    let handed_over_at = talk.handed_over.then_some(talk.started_at.0);
    tx.execute(
        &sql,
        &[
            &id,
            &talk.chatbot,
            &talk.platform,
            &talk.started_at.0,
            &talk.messages,
            &talk.first_response_ms,
            &handed_over_at,
        ],
    )
    .map(|_| ())
}

/// Deletes the conversation, if it is there.
pub fn remove(tx: &TenantTx<'_>, id: i64) -> Result<()> {
    tx.execute("DELETE FROM conversation WHERE organisation = ?1 AND id = ?2", &[&id]).map(|_| ())
}

/// How many rows of counts are kept.
pub fn analytics_rows(tx: &TenantTx<'_>) -> Result<i64> {
    tx.number("SELECT count(*) FROM analytics_day WHERE organisation = ?1", &[])
}

/// A ticket with that status.
pub fn ticket(tx: &TenantTx<'_>, id: i64, status: &str, created_at: Time) -> Result<()> {
    let sql = "INSERT INTO ticket (organisation, id, subject, status, priority, created_at, updated_at) \
               VALUES (?1, ?2, 'Broken zip', ?3, 'normal', ?4, ?4)";
    tx.execute(sql, &[&id, &status, &created_at.0]).map(|_| ())
}

/// A lead of chatbot 1.
pub fn lead(tx: &TenantTx<'_>, id: i64, captured_at: Time) -> Result<()> {
    let sql = "INSERT INTO lead (organisation, id, chatbot, email, captured_at) \
               VALUES (?1, ?2, 1, 'kim@example.com', ?3)";
    tx.execute(sql, &[&id, &captured_at.0]).map(|_| ())
}

/// The person with this address as a member who has taken the membership up; the user's id.
pub fn member(tx: &TenantTx<'_>, email: &str, role: &str) -> Result<i64> {
    let sql = "INSERT INTO user (email, name, created_at) VALUES (?1, ?1, 0) ON CONFLICT (email) DO NOTHING";
    tx.connection.execute(sql, [email])?;
    let sql = "INSERT INTO member (organisation, user, role, created_at, accepted_at) \
               SELECT ?1, id, ?3, 0, 0 FROM user WHERE email = ?2 \
               ON CONFLICT (organisation, user) DO UPDATE SET role = excluded.role";
    tx.execute(sql, &[&email, &role])?;
    tx.number("SELECT id FROM user WHERE email = ?2 AND ?1 > 0", &[&email])
}

/// Ends that membership, and nothing else.
pub fn end_membership(tx: &TenantTx<'_>, user: i64) -> Result<()> {
    tx.execute("DELETE FROM member WHERE organisation = ?1 AND user = ?2", &[&user]).map(|_| ())
}

/// Makes that membership an open invitation again.
pub fn reopen_invitation(tx: &TenantTx<'_>, user: i64) -> Result<()> {
    let sql = "UPDATE member SET accepted_at = NULL WHERE organisation = ?1 AND user = ?2";
    tx.execute(sql, &[&user]).map(|_| ())
}

/// A browser that `user` is signed in with.
pub fn browser_session(tx: &TenantTx<'_>, hash: &[u8; 32], user: i64) -> Result<()> {
    let sql = "INSERT INTO browser_session (hash, user, organisation, created_at, last_seen_at, authenticated_at) \
               VALUES (?2, ?3, ?1, 0, 0, 0)";
    tx.execute(sql, &[&hash.as_slice(), &user]).map(|_| ())
}

/// Takes a table away, so that a query of it fails.
pub fn drop_table(tx: &TenantTx<'_>, table: &str) -> Result<()> {
    Ok(tx.connection.execute_batch(&format!("DROP TABLE {table}"))?)
}
