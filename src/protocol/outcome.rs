//! How a call may end, before it is put into the words of the client's revision.

use serde_json::{Map, Value};

use super::rpc::Fault;

/// How a call ended.
#[derive(Debug)]
pub enum Outcome {
    /// The tool ran and has a structured result.
    Done(Output),
    /// What the method gives: any result as it stands.
    Result(Found),
    /// The tool or the server refused, in words for the model: of a tool a result with `isError`, of anything else an
    /// error with the code [`super::rpc::REFUSED`].
    Refused(Refusal),
    /// There is no such resource: the code is the revision's own.
    NoResource(String),
    /// A JSON-RPC error. For what is no matter of the tool.
    Fault(Fault),
    /// The client is to be asked first; with its answers the call is made again from the start.
    Ask(Ask),
    /// The work goes on behind a task (`io.modelcontextprotocol/tasks`): the text of one object with the members of
    /// `Task`. Only for clients that declared the extension.
    Task(String),
}

/// What a tool gave.
#[derive(Debug, Default)]
pub struct Output {
    /// The structured result: the text of one JSON object, written once and sent as it stands.
    pub structured: String,
    /// Members for the result's `_meta`: the text of one JSON object, such as `{"com.chaterimo/quota":{…}}`.
    pub meta: Option<String>,
}

/// The result of a method, as it stands but for what every result of its revision has.
#[derive(Debug, Default)]
pub struct Found {
    /// The text of one JSON object: the result's members, without `resultType`, `ttlMs`, `cacheScope` and `_meta`.
    pub members: String,
    /// How long the client may keep it; for the methods whose results are cacheable (MCP 2026-07-28, "Caching").
    pub cache: Option<Cache>,
    /// Members for the result's `_meta`: the text of one JSON object.
    pub meta: Option<String>,
}

/// For how long and for whom a result may be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cache {
    /// Milliseconds; 0 is stale at once.
    pub ttl_ms: u64,
    /// Whether everybody gets the same: `public`; otherwise `private`.
    pub public: bool,
}

/// Why a call was refused.
#[derive(Debug)]
pub struct Refusal {
    /// A word for programs, such as `quota_exceeded`; the text begins with it.
    pub code: &'static str,
    /// What happened and what to do, for the model.
    pub message: String,
    /// What a program may read: the members of this object go beside `code` in `_meta["com.chaterimo/error"]`.
    pub data: Option<Value>,
    /// More members for the result's `_meta`: the text of one JSON object.
    pub meta: Option<String>,
}

/// What the client is to be asked (MCP 2026-07-28, "Multi Round-Trip Requests"). A legacy client is asked by requests
/// on the stream of its call.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ask {
    /// By a name of the server's own: objects with `method` (`elicitation/create`, `sampling/createMessage` or
    /// `roots/list`) and `params`. Only what the client declared it can do is ever sent.
    pub requests: Map<String, Value>,
    /// What comes back with the answers, opaque to the client. It passes through the client's hands: whoever reads it
    /// again must be able to tell that it is the server's own.
    pub state: Option<String>,
}

impl From<Fault> for Outcome {
    fn from(fault: Fault) -> Outcome {
        Outcome::Fault(fault)
    }
}
