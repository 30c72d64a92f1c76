//! Streams of what a client did not ask for one by one: `subscriptions/listen`, and the stream of a legacy session.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::call::{members, result_of};
use super::catalog::Offers;
use super::meta::Params;
use super::rpc::{Fault, Id, Response, put};
use super::session::Peer;
use super::wire::wrong_params;

/// Resources that one stream or session may watch, and tasks likewise.
pub const MAX_WATCHED: usize = 100;
/// Bytes of all URIs that one session watches: they lie in the database for weeks, and asking costs no quota.
pub const MAX_WATCHED_BYTES: usize = 16 * 1_024;
/// Bytes of a resource's URI, or of a task's id.
pub const MAX_URI_BYTES: usize = 2_048;

/// Where a modern notification says, in its `_meta`, which `subscriptions/listen` it is for.
pub const SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";

/// What a stream is to carry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// That the list of tools changed.
    pub tools: bool,
    /// That the list of prompts changed.
    pub prompts: bool,
    /// That the list of resources changed.
    pub resources: bool,
    /// That one of these resources changed.
    pub uris: Vec<String>,
    /// What becomes of these tasks (`io.modelcontextprotocol/tasks`).
    pub tasks: Vec<String>,
}

/// Something that clients may have asked to be told of.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The list of tools is another.
    ToolsChanged,
    /// The list of prompts is another.
    PromptsChanged,
    /// The list of resources is another.
    ResourcesChanged,
    /// The resource of this URI reads otherwise.
    ResourceUpdated(String),
    /// A task moved: the text of one object with the members of `Task`, `taskId` among them, and that id.
    Task {
        /// Which one.
        id: String,
        /// What `tasks/get` would give now.
        members: String,
    },
}

/// An open stream. It has no end of its own: the driver delivers what happens until either side goes.
#[derive(Debug)]
pub struct Listen {
    /// The request that opened it; a legacy session's stream has none.
    pub id: Option<Id>,
    /// What it carries.
    pub filter: Filter,
    /// Who listens, in which revision.
    pub peer: Peer,
    pub(super) server_meta: Arc<str>,
}

impl Filter {
    /// What `subscriptions/listen` asks for, as far as the server has it.
    pub(super) fn read(params: &Params, offers: &Offers) -> Result<Filter, Fault> {
        let Some(Value::Object(asked)) = params.get("notifications") else {
            return Err(wrong_params("params.notifications", "an object that names what to listen for"));
        };
        let flag = |name: &str| match asked.get(name) {
            None | Some(Value::Null) => Ok(false),
            Some(Value::Bool(wanted)) => Ok(*wanted),
            Some(_) => Err(wrong_params(&format!("params.notifications.{name}"), "true or false")),
        };
        Ok(Filter {
            tools: flag("toolsListChanged")? && offers.tools_changed,
            prompts: flag("promptsListChanged")? && offers.prompts_changed,
            resources: flag("resourcesListChanged")? && offers.resources_changed,
            uris: texts(asked, "resourceSubscriptions").map(|uris| kept(uris, offers.subscribe))?,
            tasks: texts(asked, "taskIds").map(|ids| kept(ids, offers.tasks))?,
        })
    }

    /// What the stream of a legacy session carries.
    pub(super) fn of_session(peer: &Peer, offers: &Offers) -> Filter {
        Filter {
            tools: offers.tools_changed,
            prompts: offers.prompts_changed,
            resources: offers.resources_changed,
            uris: peer.subscribed.iter().cloned().collect(),
            tasks: Vec::new(),
        }
    }

    /// Whether nothing will ever come.
    pub fn is_empty(&self) -> bool {
        *self == Filter::default()
    }

    fn value(&self) -> Value {
        let mut value = Map::new();
        let flags = [
            ("toolsListChanged", self.tools),
            ("promptsListChanged", self.prompts),
            ("resourcesListChanged", self.resources),
        ];
        for (name, _) in flags.into_iter().filter(|(_, wanted)| *wanted) {
            value.insert(name.into(), true.into());
        }
        for (name, list) in [("resourceSubscriptions", &self.uris), ("taskIds", &self.tasks)] {
            if !list.is_empty() {
                value.insert(name.into(), json!(list));
            }
        }
        Value::Object(value)
    }
}

fn kept(list: Vec<String>, offered: bool) -> Vec<String> {
    if offered { list } else { Vec::new() }
}

fn texts(asked: &Map<String, Value>, name: &str) -> Result<Vec<String>, Fault> {
    let wrong = || {
        let wanted = format!("at most {MAX_WATCHED} strings of at most {MAX_URI_BYTES} bytes");
        wrong_params(&format!("params.notifications.{name}"), &wanted)
    };
    let list = match asked.get(name) {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(list)) if list.len() <= MAX_WATCHED => list,
        Some(_) => return Err(wrong()),
    };
    let text = |value: &Value| value.as_str().filter(|text| text.len() <= MAX_URI_BYTES).map(str::to_owned);
    list.iter().map(text).collect::<Option<Vec<_>>>().ok_or_else(wrong)
}

impl Listen {
    /// What is sent before anything else; a legacy stream has no such message.
    pub fn acknowledge(&self) -> Option<Vec<u8>> {
        self.id.as_ref()?;
        let members = json!({"notifications": self.filter.value()});
        Some(self.notification("notifications/subscriptions/acknowledged", &members.to_string()))
    }

    /// The message that tells of the event; `None` when this stream does not carry such.
    pub fn deliver(&self, event: &Event) -> Option<Vec<u8>> {
        let filter = &self.filter;
        let (wanted, method, members) = match event {
            Event::ToolsChanged => (filter.tools, "notifications/tools/list_changed", None),
            Event::PromptsChanged => (filter.prompts, "notifications/prompts/list_changed", None),
            Event::ResourcesChanged => (filter.resources, "notifications/resources/list_changed", None),
            Event::ResourceUpdated(uri) => {
                let members = json!({"uri": uri}).to_string();
                (filter.uris.contains(uri), "notifications/resources/updated", Some(members))
            }
            Event::Task { id, members } => {
                (filter.tasks.contains(id), "notifications/tasks", Some(members.clone()))
            }
        };
        wanted.then(|| self.notification(method, members.as_deref().unwrap_or("{}")))
    }

    /// The answer that ends the stream in good order; a legacy stream just ends.
    pub fn finish(&self) -> Option<Response> {
        let id = self.id.as_ref()?;
        let server = if self.server_meta.is_empty() { "" } else { "," };
        let mut result = br#"{"resultType":"complete","_meta":{"#.to_vec();
        self.put_subscription(&mut result);
        result.extend_from_slice(format!("{server}{}}}}}", self.server_meta).as_bytes());
        Some(result_of(id, &result))
    }

    /// `members` is the text of an object.
    fn notification(&self, method: &str, object: &str) -> Vec<u8> {
        let mut out = format!(r#"{{"jsonrpc":"2.0","method":"{method}""#).into_bytes();
        let inner = members(object);
        if self.id.is_none() {
            if !inner.is_empty() {
                out.extend_from_slice(format!(r#","params":{{{inner}}}"#).as_bytes());
            }
            out.push(b'}');
            return out;
        }
        out.extend_from_slice(br#","params":{"_meta":{"#);
        self.put_subscription(&mut out);
        out.push(b'}');
        if !inner.is_empty() {
            out.push(b',');
            out.extend_from_slice(inner.as_bytes());
        }
        out.extend_from_slice(b"}}");
        out
    }

    fn put_subscription(&self, out: &mut Vec<u8>) {
        put(out, &SUBSCRIPTION);
        out.push(b':');
        if let Some(id) = &self.id {
            id.write(out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::revision::Revision;
    use super::super::wire::ClientInfo;
    use super::*;

    fn listen(id: Option<Id>, filter: Filter) -> Listen {
        let peer = Peer { revision: Revision::MODERN, ..Peer::new(Revision::MODERN, ClientInfo::default()) };
        Listen { id, filter, peer, server_meta: r#""s":1"#.into() }
    }

    fn filter(notifications: Value, offers: &Offers) -> Result<Filter, String> {
        let members = Map::from_iter([("notifications".to_owned(), notifications)]);
        Filter::read(&Params { members, ..Params::default() }, offers).map_err(|fault| fault.message)
    }

    #[test]
    fn what_is_not_offered_is_not_acknowledged() {
        let asked = json!({"toolsListChanged": true, "promptsListChanged": true, "resourceSubscriptions": ["a:b"],
            "taskIds": ["t"]});
        let check = |offers: Offers, expected: Value| {
            let listen = listen(Some(Id::Number(7)), filter(asked.clone(), &offers).unwrap());
            let sent: Value = serde_json::from_slice(&listen.acknowledge().unwrap()).unwrap();
            assert_eq!(sent["params"]["notifications"], expected);
            assert_eq!(sent["params"]["_meta"], json!({SUBSCRIPTION: 7}));
        };
        check(Offers::default(), json!({}));
        check(Offers { prompts_changed: true, ..Offers::default() }, json!({"promptsListChanged": true}));
        check(
            Offers { subscribe: true, tasks: true, ..Offers::default() },
            json!({"resourceSubscriptions": ["a:b"], "taskIds": ["t"]}),
        );
    }

    #[test]
    fn refuses_filters_that_are_none() {
        let check = |asked: Value, expected: &str| {
            let fault = filter(asked, &Offers::default()).unwrap_err();
            assert!(fault.contains(expected), "{fault}");
        };
        check(json!(null), "params.notifications");
        check(json!({"toolsListChanged": 1}), "toolsListChanged");
        check(json!({"resourceSubscriptions": [1]}), "resourceSubscriptions");
        check(json!({"resourceSubscriptions": vec!["a"; MAX_WATCHED + 1]}), "at most 100");
        check(json!({"taskIds": ["x".repeat(MAX_URI_BYTES + 1)]}), "taskIds");
    }

    #[test]
    fn carries_only_what_was_asked_for() {
        let some = Filter { resources: true, uris: vec!["a:1".into()], ..Filter::default() };
        let check = |id: Option<Id>, event: &Event, expected: Value| {
            let sent = listen(id, some.clone()).deliver(event);
            let sent = sent.map_or(Value::Null, |bytes| serde_json::from_slice(&bytes).unwrap());
            assert_eq!(sent, expected, "{event:?}");
        };
        let one = || Some(Id::Text("one".into()));
        let meta = json!({SUBSCRIPTION: "one"});
        check(one(), &Event::ToolsChanged, Value::Null);
        check(one(), &Event::ResourceUpdated("a:2".into()), Value::Null);
        check(
            one(),
            &Event::ResourcesChanged,
            json!({"jsonrpc": "2.0", "method": "notifications/resources/list_changed", "params": {"_meta": meta}}),
        );
        check(
            one(),
            &Event::ResourceUpdated("a:1".into()),
            json!({"jsonrpc": "2.0", "method": "notifications/resources/updated",
                "params": {"_meta": meta, "uri": "a:1"}}),
        );
        check(
            None,
            &Event::ResourcesChanged,
            json!({"jsonrpc": "2.0", "method": "notifications/resources/list_changed"}),
        );
        check(
            None,
            &Event::ResourceUpdated("a:1".into()),
            json!({"jsonrpc": "2.0", "method": "notifications/resources/updated", "params": {"uri": "a:1"}}),
        );
        let end = listen(one(), some.clone()).finish().unwrap();
        assert_eq!(
            serde_json::from_slice::<Value>(&end.body).unwrap(),
            json!({"jsonrpc": "2.0", "id": "one",
                "result": {"resultType": "complete", "_meta": {SUBSCRIPTION: "one", "s": 1}}})
        );
        assert!(listen(None, some).finish().is_none());
    }
}
