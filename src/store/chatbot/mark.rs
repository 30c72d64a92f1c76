//! What tells whether a chatbot, as it is shown, is another than before: for whoever waits for changes.

use crate::error::{Error, Result};
use crate::store::TenantTx;

/// What moves when a chatbot changes. Two marks of a chatbot are the same while its settings, its place as the main
/// chatbot, its platform, and the state (not the progress) of its last training job are.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Mark {
    /// Its number within the organisation.
    pub id: i64,
    /// What people call it.
    pub name: String,
    /// Counts the changes of the settings, from 1.
    pub version: i64,
    /// The rest: platform, whether it is the main one, number and status of the last training job.
    state: String,
}

/// The marks of these chatbots, or of all, by number; those that are not there have none.
pub fn marks(tx: &TenantTx<'_>, ids: Option<&[i64]>) -> Result<Vec<Mark>> {
    let wanted = ids.map(serde_json::to_string).transpose().map_err(Error::internal)?;
    // The versions tell of the settings, so that the rows, which hold the instructions, are not read.
    let sql = "SELECT b.id, b.name, \
               (SELECT max(v.version) FROM chatbot_version v WHERE v.organisation = ?1 AND v.chatbot = b.id), \
               b.platform || ' ' || b.is_primary || ' ' || coalesce((SELECT j.id || ' ' || j.status FROM training_job j \
               WHERE j.organisation = ?1 AND j.chatbot = b.id ORDER BY j.id DESC LIMIT 1), '') \
               FROM chatbot b WHERE b.organisation = ?1 \
               AND (?2 IS NULL OR b.id IN (SELECT value FROM json_each(?2))) ORDER BY b.id";
    tx.all(sql, &[&wanted], |row| {
        let version: Option<i64> = row.get(2)?;
        Ok(Mark { id: row.get(0)?, name: row.get(1)?, version: version.unwrap_or(0), state: row.get(3)? })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::chatbot::{self, By};
    use crate::store::training_job::{self, Status};
    use crate::store::{knowledge, testing};
    use crate::tools::testing::{NOW, Shop};

    #[test]
    fn a_mark_moves_with_what_is_shown_of_the_chatbot() {
        let shop = Shop::new();
        shop.seed(|tx| (1..=2).try_for_each(|id| testing::chatbot(tx, id, "Bot")));
        let tenant = shop.tenant;
        let mut seen = shop.seed(|tx| marks(tx, None));
        let mut moved = |expected: &[bool; 2], what: &str| {
            let now = shop.seed(|tx| marks(tx, None));
            let found: Vec<bool> = seen.iter().zip(&now).map(|(seen, now)| seen != now).collect();
            assert_eq!(found, expected, "{what}");
            seen = now;
        };
        moved(&[false, false], "nothing");
        shop.seed(|tx| {
            chatbot::change(tx, 2, None, &By { origin: "undo", actor: "me", now: NOW }, |settings| {
                settings.instructions = "Be kind.".into();
                Ok(())
            })
        });
        moved(&[false, true], "settings");
        shop.seed(|tx| chatbot::make_primary(tx, 2, NOW));
        moved(&[true, true], "the main chatbot");
        shop.seed(|tx| training_job::request(tx, 1, 9, "me", NOW));
        moved(&[true, false], "a job is queued");
        shop.store.write(crate::store::Durability::Process, |tx| training_job::claim(tx, "w", NOW)).unwrap();
        moved(&[true, false], "it runs");
        shop.seed(|tx| training_job::progress(tx, 1, "w", 3, 9, NOW));
        moved(&[false, false], "its progress is not told");
        shop.seed(|tx| training_job::finish(tx, 1, "w", Status::Done, None, NOW));
        moved(&[true, false], "it is done");
        shop.seed(|tx| knowledge::connect(tx, 1, knowledge::Kind::Products, "shop"));
        moved(&[false, false], "another catalogue");
        let within = |ids: Option<&'static [i64]>, limit: Option<&[i64]>| {
            let found = shop.store.read(|tx| marks(&tx.tenant_within(tenant, limit), ids)).unwrap();
            found.iter().map(|mark| mark.id).collect::<Vec<_>>()
        };
        assert_eq!(within(Some(&[2, 9]), None), [2]);
        assert_eq!(within(Some(&[1, 2]), Some(&[1])), [1]);
        assert_eq!(within(None, Some(&[2])), [2]);
        assert_eq!(within(Some(&[]), None), [0; 0]);
    }
}
