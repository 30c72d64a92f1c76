//! A tool call and the bytes that answer it, written straight into one buffer: the structured result is copied once as
//! it stands and once as the text of its text block.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::rpc::{Fault, Id, Response, put_text};
use super::session::Peer;
use super::wire::{Outcome, Output, Refusal};

/// A tool call that waits for its outcome. It cannot be copied: it is answered exactly once.
#[derive(Debug)]
#[must_use]
pub struct Call {
    /// The request's identifier.
    pub id: Id,
    /// Which tool: an index into the tools the engine was made with.
    pub tool: usize,
    /// The tool's name.
    pub name: &'static str,
    /// The arguments as they came, not yet held against the tool's schema.
    pub arguments: Map<String, Value>,
    /// Who calls, in which revision.
    pub peer: Peer,
    /// What progress notifications would carry, where the client asked for them.
    pub progress_token: Option<Id>,
    /// What names the server in the `_meta` of a modern result, without the braces.
    pub(super) server_meta: Arc<str>,
}

impl Call {
    /// The answer to the call. A refusal is a result with `isError`, whose text begins with its code.
    pub fn finish(self, outcome: Outcome) -> Response {
        match outcome {
            Outcome::Done(output) => self.done(&output),
            Outcome::Refused(refusal) => self.refused(refusal),
            Outcome::Fault(code, message) => Fault::new(200, code, message).reply(Some(&self.id)),
        }
    }

    fn done(&self, output: &Output) -> Response {
        let meta_bytes = output.meta.as_ref().map_or(0, String::len);
        let mut body = Vec::with_capacity(output.structured.len() * 5 / 2 + meta_bytes + 384);
        self.open_content(&mut body, &output.structured);
        if self.peer.revision.has_structured_content() {
            body.extend_from_slice(br#","structuredContent":"#);
            body.extend_from_slice(output.structured.as_bytes());
        }
        self.close(&mut body, [output.meta.as_deref().map_or("", members), ""]);
        Response { status: 200, body }
    }

    fn refused(&self, refusal: Refusal) -> Response {
        let mut error = match refusal.data {
            Some(Value::Object(data)) => data,
            _ => Map::new(),
        };
        error.insert("code".into(), refusal.code.into());
        let error = format!(r#""com.chaterimo/error":{}"#, Value::Object(error));
        let mut body = Vec::with_capacity(640);
        self.open_content(&mut body, &format!("{}: {}", refusal.code, refusal.message));
        body.extend_from_slice(br#","isError":true"#);
        self.close(&mut body, [refusal.meta.as_deref().map_or("", members), &error]);
        Response { status: 200, body }
    }

    fn open_content(&self, body: &mut Vec<u8>, text: &str) {
        begin(body, &self.id);
        body.push(b'{');
        if self.peer.revision.is_modern() {
            body.extend_from_slice(br#""resultType":"complete","#);
        }
        body.extend_from_slice(br#""content":[{"type":"text","text":"#);
        put_text(body, text);
        body.extend_from_slice(b"}]");
    }

    fn close(&self, body: &mut Vec<u8>, extra: [&str; 2]) {
        let server: &str = if self.peer.revision.is_modern() { &self.server_meta } else { "" };
        let mut before: &[u8] = br#","_meta":{"#;
        for part in [server, extra[0], extra[1]].into_iter().filter(|part| !part.is_empty()) {
            body.extend_from_slice(before);
            body.extend_from_slice(part.as_bytes());
            before = b",";
        }
        let some = before == b",";
        body.extend_from_slice(if some { b"}}}" } else { b"}}" });
    }
}

/// The members of an object's text, without its braces.
fn members(object: &str) -> &str {
    let inner = object.trim().strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    inner.unwrap_or_default().trim()
}

fn begin(out: &mut Vec<u8>, id: &Id) {
    out.extend_from_slice(br#"{"jsonrpc":"2.0","id":"#);
    id.write(out);
    out.extend_from_slice(br#","result":"#);
}

/// The answer whose result is these bytes.
pub(super) fn result_of(id: &Id, result: &[u8]) -> Response {
    let mut body = Vec::with_capacity(result.len() + 64);
    begin(&mut body, id);
    body.extend_from_slice(result);
    body.push(b'}');
    Response { status: 200, body }
}
