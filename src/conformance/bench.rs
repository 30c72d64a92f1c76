//! What a check works on: a server that is spoken to in one revision, what is known of it, and a note of all that is
//! said.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use super::check::Stop;
use super::evidence::Shown;
use super::expect::{self, skip};
use super::task::Life;
use super::wire::Wire;
use crate::clock;
use crate::error::Result;
use crate::peer::{Dialler, End, Exchange, Peer, Raw};
use crate::protocol::framing::encode;
use crate::protocol::revision::Revision;

/// The most pages of a list that are asked for.
const MAX_PAGES: usize = 20;
/// The most exchanges that are kept as the evidence of one check.
const MAX_NOTED: usize = 40;
/// The most tools that are called.
const MAX_CALLS: usize = 5;

/// Calls that whoever runs the checks allows: tools by name and the arguments to call them with.
pub type Calls = BTreeMap<String, Value>;

/// A list with all its pages.
#[derive(Debug, Default)]
pub struct Listed {
    /// The items of all pages, in order.
    pub items: Vec<Value>,
    /// An exchange for each page; the last one is at fault where something is wrong.
    pub pages: Vec<Exchange>,
    /// It is no list, or an item has no name: in words.
    pub wrong: Option<String>,
    /// The pages came back to where they were: in words.
    pub endless: Option<String>,
    /// There are more pages than are asked for: in words.
    pub cut: Option<String>,
}

/// The second identity in a lane: a bench of its own, or why it has none.
pub type Second = Result<Arc<tokio::sync::Mutex<Bench>>, String>;

/// A server in one revision.
pub struct Bench {
    /// Makes peers of the server that are not the lane's own.
    pub dialler: Dialler,
    /// The lane's own conversation, opened.
    pub peer: Peer,
    /// The revision of the lane.
    pub revision: Revision,
    /// The result of `initialize` or `server/discover`.
    pub opened: Value,
    /// The exchange that it came in.
    pub opening: Exchange,
    /// The tools that may be called though they do not say that they only read.
    pub calls: Arc<Calls>,
    /// Somebody else at the same server, in the same revision, if there is one.
    pub other: Option<Second>,
    pub(super) wire: Wire,
    pub(super) noted: Vec<Shown>,
    /// The id of the check at hand; empty before and after them.
    pub(super) at: &'static str,
    /// The ids of the checks that are run.
    pub(super) chosen: BTreeSet<&'static str>,
    lists: BTreeMap<&'static str, Arc<Listed>>,
    /// The lists that did not come once: a second time is believed.
    lacking: BTreeSet<&'static str>,
    called: Option<Arc<Vec<(Value, Exchange)>>>,
    /// The task that was watched, or why none was.
    pub(super) task: Option<Result<Arc<Life>, String>>,
}

impl Bench {
    pub(super) fn new(
        dialler: Dialler,
        peer: Peer,
        revision: Revision,
        opening: Exchange,
        calls: Arc<Calls>,
    ) -> Bench {
        let opened = opening.result().cloned().unwrap_or_default();
        let mut wire = Wire::new(revision);
        wire.look(&opening);
        Bench {
            dialler,
            peer,
            revision,
            opened,
            opening,
            calls,
            other: None,
            wire,
            noted: Vec::new(),
            at: "",
            chosen: BTreeSet::new(),
            lists: BTreeMap::new(),
            lacking: BTreeSet::new(),
            called: None,
            task: None,
        }
    }

    /// Asks, in the lane's conversation.
    ///
    /// # Errors
    /// When the server cannot be talked to.
    pub async fn ask(&mut self, method: &str, params: Value) -> Result<Exchange> {
        let message = self.peer.request(method, params);
        self.send(&message).await
    }

    /// Sends a message, in the lane's conversation, with the headers that it should have.
    ///
    /// # Errors
    /// When the server cannot be talked to.
    pub async fn send(&mut self, message: &Value) -> Result<Exchange> {
        let raw = self.peer.post(message);
        self.raw(raw).await
    }

    /// Sends these bytes and headers.
    ///
    /// # Errors
    /// When the server cannot be talked to.
    pub async fn raw(&mut self, raw: Raw) -> Result<Exchange> {
        let exchange = self.peer.raw(raw.clone()).await;
        self.conclude(raw, exchange)
    }

    /// The same, in another conversation than the lane's.
    ///
    /// # Errors
    /// When the server cannot be talked to.
    pub async fn raw_on(&mut self, peer: &mut Peer, raw: Raw) -> Result<Exchange> {
        let exchange = peer.raw(raw.clone()).await;
        let opening = peer.opening().to_vec();
        let concluded = self.conclude(raw, exchange);
        if let Some(shown) = self.noted.last_mut() {
            shown.opening = opening;
        }
        concluded
    }

    fn conclude(&mut self, raw: Raw, exchange: Result<Exchange>) -> Result<Exchange> {
        match exchange {
            Ok(exchange) => Ok(self.note(exchange)),
            Err(error) => {
                self.note(Exchange { sent: raw, end: End::Broken, ..Exchange::default() });
                Err(error)
            }
        }
    }

    /// Notes an exchange as evidence of the check at hand, and holds its messages against the schema.
    pub fn note(&mut self, exchange: Exchange) -> Exchange {
        // What is refused for now may be said by a proxy, and is no answer to the message.
        if exchange.limit().is_none() {
            self.wire.look(&exchange);
        }
        self.show(&exchange);
        exchange
    }

    /// Notes an exchange of before as evidence of the check at hand.
    pub fn show(&mut self, exchange: &Exchange) {
        if self.noted.len() < MAX_NOTED {
            self.noted.push(Shown { exchange: exchange.clone(), opening: self.peer.opening().to_vec() });
        }
    }

    /// Another conversation with the server, opened like the lane's: a session, or a process, of its own.
    ///
    /// # Errors
    /// When the server cannot be talked to, or does not open it again.
    pub async fn another(&mut self) -> Result<Peer, Stop> {
        let mut peer = self.dialler.dial()?;
        if self.revision.is_modern() {
            peer.speak_modern(self.revision.as_str(), json!({}));
            return Ok(peer);
        }
        let opening = peer.shake_hands(self.revision.as_str(), json!({})).await?;
        let opening = self.note(opening);
        expect::result(&opening)?;
        Ok(peer)
    }

    /// What the server declares.
    pub fn capabilities(&self) -> &Map<String, Value> {
        static NONE: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
        self.opened.get("capabilities").and_then(Value::as_object).unwrap_or(&NONE)
    }

    /// Whether the server declares a capability, such as `resources`.
    pub fn has(&self, capability: &str) -> bool {
        self.capabilities().contains_key(capability)
    }

    /// Whether a member of a declared capability is true, such as `subscribe` of `resources`.
    pub fn has_part(&self, capability: &str, part: &str) -> bool {
        self.capabilities().get(capability).and_then(|found| found.get(part)) == Some(&json!(true))
    }

    /// Whether the server declares an extension, such as `io.modelcontextprotocol/tasks`.
    pub fn has_extension(&self, name: &str) -> bool {
        self.capabilities().get("extensions").is_some_and(|all| all.get(name).is_some())
    }

    /// Stops the check as not exercised unless the server declares `capability`.
    ///
    /// # Errors
    /// `Stop::Skips`.
    pub fn needs(&self, capability: &str) -> Result<(), Stop> {
        match self.has(capability) {
            true => Ok(()),
            false => skip(format!("the server does not declare {capability}")),
        }
    }

    /// The items of `tools/list`, `resources/list`, `resources/templates/list` or `prompts/list`, all pages of it;
    /// asked for once. A list that is broken is the fault of one row; whatever needs it for something else is not
    /// exercised, unless that row is not run.
    ///
    /// # Errors
    /// Not exercised when the server does not declare it; fails, in the row that is about it, when it is none.
    pub async fn list(&mut self, method: &'static str) -> Result<Arc<Listed>, Stop> {
        self.needs(method.split('/').next().unwrap_or(method))?;
        let was_there = !self.peer.has_gone();
        let listed = match self.lists.get(method) {
            Some(known) => known.clone(),
            None => Arc::new(self.list_anew(method).await?),
        };
        // That a process did not answer which had ended before says nothing of the list, nor does one slow answer.
        let end = listed.pages.last().map(|page| page.end);
        let lacks = listed.wrong.is_some() && matches!(end, Some(End::TimedOut | End::Broken));
        let is_known = was_there && !(lacks && self.lacking.insert(method));
        if is_known {
            self.lists.insert(method, listed.clone());
        }
        let page = if listed.wrong.is_some() { listed.pages.last() } else { listed.pages.first() };
        if let (Some(page), true) = (page, self.noted.is_empty()) {
            self.show(page);
        }
        let row = kind_of(method).2;
        match &listed.wrong {
            None => Ok(listed),
            Some(wrong) if self.at.is_empty() || self.at == row => expect::fail(wrong),
            Some(wrong) if !self.chosen.contains(row) => expect::fail(format!("{method} failed: {wrong}")),
            Some(wrong) if !is_known => skip(format!("{method} failed: {wrong}")),
            Some(_) => skip(format!("{method} failed (see {row})")),
        }
    }

    /// Whether `text` is of the result of a list that is broken, which the row of that list tells of.
    pub(super) fn is_told_of(&self, text: &str) -> bool {
        let Some(rest) = text.strip_prefix("the result of ") else { return false };
        let method = rest.split(' ').next().unwrap_or_default();
        let is_broken = self.lists.get(method).is_some_and(|listed| listed.wrong.is_some());
        is_broken && self.chosen.contains(kind_of(method).2)
    }

    /// The same, asked for now, broken or not.
    ///
    /// # Errors
    /// When the server cannot be asked so often.
    pub async fn list_anew(&mut self, method: &str) -> Result<Listed, Stop> {
        let (mut listed, mut cursor) = (Listed::default(), None::<Value>);
        let mut seen = Vec::new();
        for _ in 0..MAX_PAGES {
            let params = cursor.as_ref().map_or(Value::Null, |cursor| json!({"cursor": cursor}));
            let message = self.peer.request(method, params);
            let raw = self.peer.post(&message);
            let page = match self.raw(raw.clone()).await.map_err(Stop::from) {
                Ok(page) => page,
                Err(Stop::Breaks(error)) => {
                    listed.wrong = Some(error.public);
                    listed.pages.push(Exchange { sent: raw, end: End::Broken, ..Exchange::default() });
                    return Ok(listed);
                }
                Err(stop) => return Err(stop),
            };
            if let Some(words) = page.limit() {
                return skip(limited(&words));
            }
            listed.wrong = listed.take(method, &page);
            let next = page.result().and_then(|result| result.get("nextCursor"));
            let next = next.filter(|next| !next.is_null() && listed.wrong.is_none()).cloned();
            listed.pages.push(page);
            let Some(next) = next else { return Ok(listed) };
            if seen.contains(&next) {
                listed.endless = Some(format!("the cursor {next} came a second time"));
                return Ok(listed);
            }
            seen.push(next.clone());
            cursor = Some(next);
        }
        // A long list is no fault, and no success: we only stop asking.
        listed.cut = Some(format!("{method} has more than {MAX_PAGES} pages"));
        Ok(listed)
    }

    /// The tools that may be called, with arguments: those that were named, and those that say they only read and that
    /// want no arguments.
    ///
    /// # Errors
    /// Not exercised when there is none.
    pub async fn callable(&mut self) -> Result<Vec<(Value, Value)>, Stop> {
        let tools = self.list("tools/list").await?;
        let calls = self.calls.clone();
        let fits = |tool: &Value| {
            let name = tool.get("name")?.as_str()?;
            if let Some(arguments) = calls.get(name) {
                return Some((tool.clone(), arguments.clone()));
            }
            let reads = tool.pointer("/annotations/readOnlyHint") == Some(&json!(true));
            let required = tool.pointer("/inputSchema/required").and_then(Value::as_array);
            (reads && required.is_none_or(Vec::is_empty)).then(|| (tool.clone(), json!({})))
        };
        let found: Vec<_> = tools.items.iter().filter_map(fits).collect();
        match found.is_empty() {
            false => Ok(found),
            true => skip(
                "no tool says that it only reads (readOnlyHint) and wants no arguments; --call NAME='{…}' names one to call",
            ),
        }
    }

    /// Ends the lane: its session or process, and that of the second identity.
    pub(super) async fn close(mut self) {
        const FAREWELL: Duration = Duration::from_secs(2);
        if let Some(Ok(other)) = self.other.take()
            && let Ok(other) = Arc::try_unwrap(other)
        {
            other.into_inner().peer.close(FAREWELL).await;
        }
        self.peer.close(FAREWELL).await;
    }

    fn is_named(&self, tool: &Value) -> bool {
        tool.get("name").and_then(Value::as_str).is_some_and(|name| self.calls.contains_key(name))
    }

    /// The calls of those tools, those that were named first, each with its exchange: made once, with the token
    /// `progress-N` for progress, N from 0.
    /// A call that takes longer than an answer may is left out: how long a tool takes is its own affair.
    ///
    /// # Errors
    /// Not exercised when there is none.
    pub async fn called(&mut self) -> Result<Arc<Vec<(Value, Exchange)>>, Stop> {
        let done = match &self.called {
            Some(done) => done.clone(),
            None => {
                let mut done = Vec::new();
                let mut callable = self.callable().await?;
                // Not all are called: those that were named are.
                callable.sort_by_key(|(tool, _)| !self.is_named(tool));
                for (number, (tool, arguments)) in callable.into_iter().take(MAX_CALLS).enumerate() {
                    let meta = json!({"progressToken": format!("progress-{number}")});
                    let exchange = self.call(&tool, arguments, meta).await?;
                    match exchange.end {
                        _ if exchange.limit().is_some() => {}
                        End::TimedOut => self.give_up(&exchange).await?,
                        _ => done.push((tool, exchange)),
                    }
                }
                Arc::new(done)
            }
        };
        self.called = Some(done.clone());
        self.noted.clear();
        match (done.is_empty(), self.limit()) {
            (false, _) => Ok(done),
            (true, Some(limit)) => skip(limit),
            (true, None) => {
                skip("no tool that can be called answered in time; --timeout sets how long that is")
            }
        }
    }

    /// How many requests were refused because the server is asked too often, by either identity.
    pub(super) fn refusals(&self) -> usize {
        let other = self.other.as_ref().and_then(|other| other.as_ref().ok()?.try_lock().ok());
        self.dialler.refused().count + other.map_or(0, |other| other.dialler.refused().count)
    }

    /// That the server limits how often it may be called, if it did.
    pub(super) fn limit(&self) -> Option<String> {
        let other = self.other.as_ref().and_then(|other| other.as_ref().ok()?.try_lock().ok());
        let all = [self.dialler.refused(), other.map(|other| other.dialler.refused()).unwrap_or_default()];
        all.into_iter().find(|refused| refused.count > 0).map(|refused| limited(&refused.words))
    }

    /// Tells the server that nobody waits any more; over HTTP in the modern era it knows.
    async fn give_up(&mut self, exchange: &Exchange) -> Result<()> {
        if self.revision.is_modern() && !self.peer.is_stdio() {
            return Ok(());
        }
        let sent = serde_json::from_slice::<Value>(&exchange.sent.body).unwrap_or_default();
        let params = json!({"requestId": sent.get("id"), "reason": "it takes too long"});
        self.peer.tell("notifications/cancelled", params).await.map(|_| ())
    }

    /// Whether the server shakes hands on this legacy revision.
    ///
    /// # Errors
    /// When the server cannot be talked to.
    pub async fn serves(&mut self, revision: &str) -> Result<bool> {
        let mut peer = self.dialler.dial()?;
        let opening = peer.shake_hands(revision, json!({})).await?;
        let agreed = opening.result().and_then(|result| result.get("protocolVersion")).cloned();
        peer.close(self.moment()).await;
        Ok(agreed == Some(json!(revision)))
    }

    /// Calls `tool`, with `meta` as its `_meta`.
    ///
    /// # Errors
    /// When the server cannot be talked to.
    pub async fn call(&mut self, tool: &Value, arguments: Value, meta: Value) -> Result<Exchange> {
        let raw = self.post_of_call(tool, arguments, meta);
        self.raw(raw).await
    }

    /// The request of such a call, with a header for each argument whose schema has `x-mcp-header`.
    pub fn post_of_call(&mut self, tool: &Value, arguments: Value, meta: Value) -> Raw {
        let name = tool.get("name").cloned().unwrap_or_default();
        let params = json!({"name": name, "arguments": arguments, "_meta": meta});
        let message = self.peer.request("tools/call", params);
        let mut raw = self.peer.post(&message);
        if let (true, Some(schema)) = (self.revision.is_modern(), tool.get("inputSchema")) {
            repeat_arguments(schema, &arguments, &mut raw);
        }
        raw
    }

    /// Until when a server is listened to that says something all the time.
    pub fn until(&self) -> Instant {
        clock::instant() + self.dialler.options().patience
    }

    /// How long to wait for what should not come.
    pub fn moment(&self) -> Duration {
        Duration::from_millis(300)
    }
}

/// What is said where the server refused to be called so often; `words` are its own, such as `HTTP 429`.
pub(super) fn limited(words: &str) -> String {
    format!("the server limits how often it may be called ({words})")
}

/// Adds the `Mcp-Param-*` headers of `arguments` (MCP 2026-07-28, "Custom Headers from Tool Parameters").
fn repeat_arguments(schema: &Value, arguments: &Value, raw: &mut Raw) {
    for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let Some(argument) = arguments.get(name) else { continue };
        repeat_arguments(property, argument, raw);
        let Some(header) = property.get("x-mcp-header").and_then(Value::as_str) else { continue };
        let text = match argument {
            Value::String(text) => text.clone(),
            Value::Bool(_) | Value::Number(_) => argument.to_string(),
            _ => continue,
        };
        raw.headers.set(&format!("mcp-param-{header}"), &encode(&text));
    }
}

impl Listed {
    /// Takes the items of a page: what is wrong with it.
    fn take(&mut self, method: &str, page: &Exchange) -> Option<String> {
        let (member, wanted, _) = kind_of(method);
        let Some(result) = page.result() else { return Some(expect::what_came(page)) };
        let Some(items) = result.get(member).and_then(Value::as_array) else {
            return Some(format!("the result of {method} has no array {member}"));
        };
        self.items.extend(items.iter().cloned());
        let is_whole = |item: &&Value| wanted.iter().all(|name| item.get(name).is_some_and(Value::is_string));
        let wrong = items.iter().filter(|item| !is_whole(item)).count();
        let wanted = wanted.join(" or no ");
        (wrong > 0).then(|| format!("{wrong} of {} {member} have no {wanted}", items.len()))
    }
}

/// Of a list: what its items are called, the texts that each has, and the check that is about it.
fn kind_of(method: &str) -> (&'static str, &'static [&'static str], &'static str) {
    match method {
        "tools/list" => ("tools", &["name"], "tools.list"),
        "prompts/list" => ("prompts", &["name"], "prompts.list"),
        "resources/templates/list" => ("resourceTemplates", &["uriTemplate"], "resources.templates"),
        _ => ("resources", &["uri", "name"], "resources.list"),
    }
}
