//! What is said to a server that asks: what its user laid ready, or else that nothing of the kind can be done.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use crate::protocol::rpc::METHOD_NOT_FOUND;

/// Answers that lie ready, each for one request of its method.
#[derive(Clone, Default)]
pub(super) struct Replies(Arc<Mutex<VecDeque<(String, Value)>>>);

impl Replies {
    /// Lays `outcome`, an object with `result` or `error`, ready for the next request of `method`.
    pub(super) fn add(&self, method: &str, outcome: Value) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_back((method.to_owned(), outcome));
    }

    /// Takes away what lies ready.
    pub(super) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The answer to `request`.
    pub(super) fn to(&self, request: &Value) -> Value {
        let method = request["method"].as_str().unwrap_or_default();
        let mut ready = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = ready.iter().position(|(known, _)| known == method).and_then(|at| ready.remove(at));
        let outcome = match (found, method) {
            (Some((_, outcome)), _) => outcome,
            (None, "ping") => json!({"result": {}}),
            (None, _) => {
                json!({"error": {"code": METHOD_NOT_FOUND, "message": "This client can do nothing of the kind."}})
            }
        };
        let mut reply = json!({"jsonrpc": "2.0", "id": request["id"]});
        if let (Value::Object(reply), Value::Object(outcome)) = (&mut reply, outcome) {
            reply.extend(outcome);
        }
        reply
    }
}
