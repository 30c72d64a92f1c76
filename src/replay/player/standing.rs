//! Streams without an end: what the server says of its own accord.

use std::collections::VecDeque;

use serde_json::{Value, json};

use super::super::era::strip_meta;
use super::{Asked, Form, Player, Reply, Step, taken};
use crate::protocol::listen::SUBSCRIPTION;
use crate::protocol::revision::Revision;
use crate::protocol::rpc::{is_request, is_response};
use crate::protocol::transcript::turns::{Kind, Turn, method_of};

const ACKNOWLEDGED: &str = "notifications/subscriptions/acknowledged";

impl Player {
    /// Opens the stream of what the server says of its own accord, for a client of the legacy era.
    pub fn listen(&mut self, to: Revision) -> Reply {
        let recorded = |turn: &Turn| turn.kind == Kind::Stream && !turn.turned_away();
        let found = self.finder.next_of(&self.turns, recorded);
        let Some(turn) = found.or_else(|| self.finder.next_of(&self.turns, Turn::is_subscription)) else {
            return taken(405);
        };
        match self.turns.get(turn).and_then(Turn::status) {
            Some(status) if status >= 400 => {
                self.finder.play(turn);
                taken(status)
            }
            _ => self.open_standing(turn, &Asked { message: &Value::Null, to }),
        }
    }

    /// A stream without an end: what stands on it comes once what stood before it in the recording has come again.
    pub(super) fn open_standing(&mut self, place: usize, asked: &Asked<'_>) -> Reply {
        self.finder.play(place);
        let Some(turn) = self.turns.get(place) else { return taken(405) };
        let id = asked.message.get("id");
        let mut steps = VecDeque::new();
        let acknowledged = |message: &Value| method_of(message) == Some(ACKNOWLEDGED);
        if let (Some(id), false) = (id, turn.said.iter().any(|said| acknowledged(&said.message))) {
            let wanted = asked.message["params"].get("notifications").cloned().unwrap_or_else(|| json!({}));
            steps.push_back(Step { after: None, message: acknowledgement(id, &wanted) });
        }
        let mut ends = false;
        for said in turn.said.iter().filter(|said| said.message.is_object()) {
            let after = said.after.filter(|after| *after > place);
            let mut message = said.message.clone();
            match id {
                _ if id.is_none() && (acknowledged(&message) || is_response(&message)) => continue,
                Some(_) if is_request(&message) => continue,
                Some(id) => subscribe(&mut message, id),
                None => {
                    message.get_mut("params").into_iter().for_each(|params| strip_meta(params, SUBSCRIPTION))
                }
            }
            ends |= is_response(&message);
            steps.push_back(Step { after, message });
        }
        self.open(steps, !ends, Form::Events, 200)
    }

    /// A modern client listens, where the recorded one had the stream of the legacy era, or none.
    pub(super) fn listen_across(&mut self, asked: &Asked<'_>) -> Reply {
        let recorded =
            |turn: &Turn| turn.kind == Kind::Stream && turn.status().is_none_or(|status| status == 200);
        if let Some(turn) = self.finder.next_of(&self.turns, recorded) {
            return self.open_standing(turn, asked);
        }
        let wanted = asked.message["params"].get("notifications").cloned().unwrap_or_else(|| json!({}));
        let message = acknowledgement(&asked.message["id"], &wanted);
        self.open(VecDeque::from([Step { after: None, message }]), true, Form::Events, 200)
    }
}

fn acknowledgement(id: &Value, wanted: &Value) -> Value {
    let params = json!({"_meta": {SUBSCRIPTION: id}, "notifications": wanted});
    json!({"jsonrpc": "2.0", "method": ACKNOWLEDGED, "params": params})
}

/// Says which subscription the notification, or the last answer, is for.
fn subscribe(message: &mut Value, id: &Value) {
    if is_response(message) {
        message["id"] = id.clone();
    }
    let holder = if message.get("result").is_some() { "result" } else { "params" };
    let Some(members) = message.as_object_mut() else { return };
    let holder = members.entry(holder).or_insert_with(|| json!({})).as_object_mut();
    let meta = holder.and_then(|holder| holder.entry("_meta").or_insert_with(|| json!({})).as_object_mut());
    if let Some(meta) = meta {
        meta.insert(SUBSCRIPTION.to_owned(), id.clone());
    }
}
