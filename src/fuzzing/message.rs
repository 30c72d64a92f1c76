//! One body or line.

use serde_json::Value;

use crate::protocol::{Incoming, Message, rpc};

/// Any bytes: the parser ends; what it takes is JSON within the limits, and is written and read back the same; what
/// it refuses it answers with an error message.
pub fn message(bytes: &[u8]) {
    match rpc::parse(bytes) {
        Ok(incoming) => {
            let whole: Value = serde_json::from_slice(bytes).expect("what is taken is JSON");
            assert!(bytes.len() <= rpc::MAX_BODY_BYTES);
            let (depth, nodes) = size(&whole);
            assert!(depth <= rpc::MAX_DEPTH && nodes <= rpc::MAX_NODES, "{depth} deep, {nodes} values");
            match incoming {
                Incoming::One(message) => reads_back(&message),
                Incoming::Batch(messages) => {
                    assert!((1..=rpc::MAX_BATCH).contains(&messages.len()));
                    messages.iter().for_each(reads_back);
                }
            }
        }
        Err(refusal) => {
            assert!(matches!(refusal.status, 400 | 413));
            let Ok(Incoming::One(Message::Response { outcome: Err(_), .. })) = rpc::parse(&refusal.body)
            else {
                panic!("a refusal is an error message: {}", String::from_utf8_lossy(&refusal.body))
            };
        }
    }
}

fn reads_back(message: &Message) {
    let mut written = Vec::new();
    message.write(&mut written);
    assert_eq!(rpc::parse(&written), Ok(Incoming::One(message.clone())));
}

/// How many arrays and objects stand inside one another, and how many values there are.
fn size(value: &Value) -> (usize, usize) {
    let inner: Vec<_> = match value {
        Value::Array(items) => items.iter().map(size).collect(),
        Value::Object(members) => members.values().map(size).collect(),
        _ => return (0, 1),
    };
    let depth = inner.iter().map(|(depth, _)| depth).max().copied().unwrap_or_default();
    (depth + 1, 1 + inner.iter().map(|(_, nodes)| nodes).sum::<usize>())
}
