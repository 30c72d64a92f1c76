//! `retrain_chatbot`: indexes anew what a chatbot answers from. The work is done behind the answer, by
//! [`crate::training`].

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Cx, Effect, Json, Refusal, Spec, schema};
use crate::error::Error;
use crate::store::training_job::{self, Job};

/// The tool.
pub struct Tool;

/// Its arguments.
#[derive(Deserialize)]
pub struct Args {
    chatbot_id: i64,
}

impl super::Tool for Tool {
    const SPEC: Spec = Spec {
        name: "retrain_chatbot",
        title: "Retrain chatbot",
        about: "Starts re-indexing everything a chatbot answers from: products, documents, custom content. Answers \
                with the job, which goes on in the background if it takes longer; get_chatbot shows its progress. \
                While one runs, answers with that one (already_running).",
        effect: Effect::Start,
        untrusted: &[],
    };
    type Args = Args;

    fn input() -> Value {
        schema::input(json!({"chatbot_id": {"type": "integer", "minimum": 1}}), &["chatbot_id"])
    }

    fn output() -> Value {
        let time = || json!({"type": ["string", "null"]});
        let mut schema = schema::object(json!({
            "job": schema::object(json!({
                "id": {"type": "integer"}, "chatbot_id": {"type": "integer"}, "status": {"type": "string"},
                "done": {"type": "integer"}, "total": {"type": "integer"}, "requested_at": {"type": "string"},
                "started_at": time(), "finished_at": time(), "error": {"type": "string"}
            })),
            "already_running": {"type": "boolean"}
        }));
        schema["required"] = json!(["job", "already_running"]);
        schema
    }

    fn run(cx: &Cx<'_>, args: Args) -> Result<Json, Refusal> {
        let started = training_job::start(cx.tx, args.chatbot_id, cx.actor, cx.now)?;
        let Some((job, already_running)) = started else {
            return Err(Refusal::not_found("chatbot", args.chatbot_id, "list_chatbots"));
        };
        Json::of(&Answer { job, already_running })
    }
}

#[derive(Serialize)]
struct Answer {
    job: Job,
    already_running: bool,
}

/// What a call began, or found begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Started {
    /// The job's number.
    pub job: i64,
    /// Whether it ran already.
    pub already_running: bool,
}

/// The training job that `answer`, a result of this tool, names; `None` where it names none.
pub fn started(answer: &str) -> Option<Started> {
    #[derive(Deserialize)]
    struct Numbered {
        id: i64,
    }
    #[derive(Deserialize)]
    struct Answer {
        job: Numbered,
        already_running: bool,
    }
    let Answer { job, already_running } = serde_json::from_str(answer).ok()?;
    Some(Started { job: job.id, already_running })
}

/// What this tool answers, with the job as it stands now.
///
/// # Errors
/// `Internal` when it cannot be serialised.
pub fn text(job: Job, already_running: bool) -> crate::error::Result<String> {
    serde_json::to_string(&Answer { job, already_running }).map_err(Error::internal)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::store::{chatbot, document};
    use crate::tools::testing::{NOW, Shop};

    fn shop() -> Shop {
        let shop = Shop::new();
        let bot = json!({"external_id": "a", "settings": {"name": "a"}});
        shop.seed(move |tx| chatbot::put(tx, &serde_json::from_value(bot).unwrap(), NOW));
        let new = json!({"external_id": "d", "title": "Returns", "text": "Within 30 days."});
        shop.seed(move |tx| document::put(tx, &serde_json::from_value(new).unwrap(), NOW));
        shop
    }

    #[test]
    fn queues_one_job_and_answers_with_it_again() {
        let shop = shop();
        let first = shop.call("retrain_chatbot", json!({"chatbot_id": 1})).unwrap();
        let job = json!({
            "id": 1, "chatbot_id": 1, "status": "queued", "done": 0, "total": 1,
            "requested_at": NOW, "started_at": null, "finished_at": null
        });
        assert_eq!(first, json!({"job": job, "already_running": false}));
        let second = shop.call("retrain_chatbot", json!({"chatbot_id": "1"})).unwrap();
        assert_eq!(second, json!({"job": job, "already_running": true}));
        let shown = shop.call("get_chatbot", json!({"chatbot_id": 1})).unwrap();
        assert_eq!(shown["training"]["status"], "queued");
    }

    #[test]
    fn only_ones_own_chatbot() {
        let mut shop = shop();
        shop.move_in("other");
        let refusal = shop.call("retrain_chatbot", json!({"chatbot_id": 1})).unwrap_err();
        assert_eq!(refusal.code, "not_found");
    }
}
