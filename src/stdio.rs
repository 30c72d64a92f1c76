//! MCP over stdin and stdout, on the local database: one JSON-RPC message a line. Nothing else is written to stdout.
//!
//! Messages are taken in their order, on one thread: a tool takes milliseconds, so a cancellation that arrives behind the
//! call it is for mostly finds it answered. What goes on beyond that (streams of changes, calls that are followed or that
//! wait for the client) is kept in `Open`, and a second thread looks at it.

mod open;

use std::io::{ErrorKind, Read, Write};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use self::open::Open;
use crate::access::{Endpoint, Grant};
use crate::app::{self, Answer, App, Caller};
use crate::clock::instant;
use crate::error::{Error, Kind, Result};
use crate::protocol::framing::lines::{Frame, Lines};
use crate::protocol::{Answered, Call, Incoming, Message, Outcome, Refusal, Response, Session, Step, rpc};

/// Bytes of a line at most.
const LINE_BYTES_MAX: usize = 1 << 20;
/// Bytes read at a time.
const CHUNK_BYTES: usize = 64 * 1024;

/// Answers what comes in on `input` until it ends, in the name of `key`; calls that are followed then come to their end.
///
/// # Errors
/// `Unauthorized` when the key stands for nothing; `Internal` when `output` cannot be written.
pub fn run(app: &App, key: &str, input: impl Read, output: impl Write + Send) -> Result<()> {
    let grant = app.authenticate(key)?.ok_or_else(refused)?;
    if grant.audience.is_some() {
        return Err(Error::new(
            Kind::Unauthorized,
            "CHATERIMO_API_KEY holds the access token of an app, which is for HTTP alone. Put an API key into it; \
             `chaterimo key create` makes one.",
        ));
    }
    let wire = Wire { app, key, state: Mutex::new(State::new(output)), stirred: Condvar::new() };
    thread::scope(|scope| {
        let teller = scope.spawn(|| wire.tell());
        let reading = Reading(&wire);
        let read = wire.read(input);
        drop(reading);
        let told =
            teller.join().unwrap_or_else(|_| Err(Error::internal("the thread that tells of changes broke")));
        read.and(told)
    })
}

fn refused() -> Error {
    Error::new(
        Kind::Unauthorized,
        "The API key in CHATERIMO_API_KEY is not valid here: it was mistyped, revoked, or made for another data folder. \
         `chaterimo key list` shows the keys there are, `chaterimo key create` makes one.",
    )
}

struct Wire<'a, W> {
    app: &'a App,
    key: &'a str,
    state: Mutex<State<W>>,
    /// Told when there is something to look at, or nothing more to come.
    stirred: Condvar,
}

/// That input may come, until dropped: also when whoever reads it panics, for the teller waits for that.
struct Reading<'a, 'w, W: Write + Send>(&'a Wire<'w, W>);

impl<W: Write + Send> Drop for Reading<'_, '_, W> {
    fn drop(&mut self) {
        self.0.lock().ended = true;
        self.0.stirred.notify_all();
    }
}

struct State<W> {
    session: Session,
    open: Open,
    output: W,
    /// No more input comes.
    ended: bool,
}

impl<W: Write> State<W> {
    fn new(output: W) -> State<W> {
        State { session: Session::default(), open: Open::default(), output, ended: false }
    }

    fn write(&mut self, message: &[u8]) -> Result<()> {
        let line = [message, b"\n"].concat();
        let written = self.output.write_all(&line).and_then(|()| self.output.flush());
        written.map_err(Error::internal)
    }
}

impl<W: Write + Send> Wire<'_, W> {
    fn lock(&self) -> MutexGuard<'_, State<W>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self, mut input: impl Read) -> Result<()> {
        let mut lines = Lines::new(LINE_BYTES_MAX);
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let length = match input.read(&mut chunk) {
                Ok(0) => break,
                Ok(length) => length,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(Error::internal(error)),
            };
            for frame in lines.feed(&chunk[..length]) {
                self.frame(frame)?;
            }
        }
        lines.end().map_or(Ok(()), |frame| self.frame(frame))
    }

    /// Looks at what is open, as long as anything is and input may come; a call that is followed is always ended.
    fn tell(&self) -> Result<()> {
        let mut state = self.lock();
        loop {
            if state.ended && !state.open.follows_any() {
                return Ok(());
            }
            let Some(pause) = state.open.pause() else {
                state = self.stirred.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            state = self.stirred.wait_timeout(state, pause).unwrap_or_else(PoisonError::into_inner).0;
            let State { session, open, .. } = &mut *state;
            for message in open.look(self.app, self.key, session) {
                state.write(&message)?;
            }
        }
    }

    fn frame(&self, frame: Frame) -> Result<()> {
        let mut state = self.lock();
        let answer = match frame.and_then(|line| rpc::parse(&line)) {
            Ok(Incoming::One(message)) => self.message(&mut state, message, true)?,
            Ok(Incoming::Batch(batch)) => self.batch(&mut state, batch)?,
            Err(answer) => Some(answer),
        };
        if state.open.pause().is_some() {
            self.stirred.notify_all();
        }
        answer.map_or(Ok(()), |answer| state.write(&answer.body))
    }

    fn batch(&self, state: &mut State<W>, batch: Vec<Message>) -> Result<Option<Response>> {
        if let Err(answer) = self.app.engine.accepts_batch(&state.session, &batch) {
            return Ok(Some(answer));
        }
        let mut answers = Vec::new();
        for message in batch {
            answers.extend(self.message(state, message, false)?);
        }
        Ok((!answers.is_empty()).then(|| rpc::join(&answers)))
    }

    /// The key is looked up for each message, so that one that is revoked ends at once. `alone` is whether the message may
    /// be answered later, or after others.
    fn message(&self, state: &mut State<W>, message: Message, alone: bool) -> Result<Option<Response>> {
        let grant = self.app.authenticate(self.key)?;
        let reach = grant.as_ref().map(|grant| crate::access::reach(self.signals(grant)));
        let view = app::view(reach.unwrap_or(crate::access::Reach::ReadOnlyGrant));
        let step = self.app.engine.handle(&mut state.session, view, None, message);
        let Some(grant) = grant else { return Ok(unknown(step)) };
        match step {
            Step::Reply(answer) => {
                state.open.hear_session(self.app, &grant, &state.session)?;
                Ok(Some(answer))
            }
            Step::Call(call) => self.call(state, &grant, call, alone),
            Step::Listen(listen) => {
                let first = listen.acknowledge();
                match state.open.listen(self.app, &grant, listen)? {
                    Some(refused) => Ok(Some(refused)),
                    None => first.map_or(Ok(()), |first| state.write(&first)).map(|()| None),
                }
            }
            Step::Resume(id, outcome) => match state.open.answer(&id, outcome) {
                Some(Answered::Again(call)) => self.call(state, &grant, call, true),
                Some(Answered::Ended(response)) => Ok(Some(response)),
                Some(Answered::Waiting(_)) | None => Ok(None),
            },
            Step::Cancel(id) => {
                state.open.cancel(&id);
                Ok(None)
            }
            Step::Accepted => Ok(None),
        }
    }

    fn call(&self, state: &mut State<W>, grant: &Grant, call: Call, alone: bool) -> Result<Option<Response>> {
        let caller = Caller { signals: self.signals(grant), grant, transport: "stdio", arrived: instant() };
        let answer = self.app.call(&caller, call);
        match answer {
            Answer::Later(follow) if alone => Ok(state.open.follow(follow)),
            Answer::Ask(call, ask) if alone => match state.open.ask(call, ask) {
                Ok(requests) => requests.iter().try_for_each(|request| state.write(request)).map(|()| None),
                Err(response) => Ok(Some(response)),
            },
            answer => Ok(Some(answer.at_once().response)),
        }
    }

    fn signals(&self, grant: &Grant) -> crate::access::Signals {
        self.app.signals(grant, Endpoint::Full, false)
    }
}

/// What is answered once the key stands for nothing any more.
fn unknown(step: Step) -> Option<Response> {
    match step {
        Step::Reply(answer) => Some(answer),
        Step::Call(call) => {
            let message = refused().public;
            let refusal = Refusal { code: "unauthorized", message, data: None, meta: None };
            Some(call.finish(Outcome::Refused(refusal)))
        }
        Step::Listen(listen) => listen.finish(),
        Step::Resume(..) | Step::Cancel(_) | Step::Accepted => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::access::signed;
    use crate::clock::{Clock, Time};
    use crate::store::organisation::{self, Plan};
    use crate::store::{Durability, oauth_grant, oauth_token, testing};

    fn app() -> (tempfile::TempDir, App, String) {
        let folder = tempfile::tempdir().unwrap();
        let app = App::open(folder.path(), Clock::manual(Time(1_795_000_000_000)), false, vec![]).unwrap();
        let now = app.clock.now();
        let made = app.store.write(Durability::Disk, move |tx| {
            let tenant = organisation::create(tx, "acme", "Acme", Plan::Free, now)?.tenant;
            crate::access::api_key::create(&tx.tenant(tenant), "test", false, now)
        });
        let key = made.unwrap().1;
        (folder, app, key)
    }

    fn talk(app: &App, key: &str, input: &str) -> Vec<Value> {
        let mut output = Vec::new();
        run(app, key, input.as_bytes(), &mut output).unwrap();
        String::from_utf8(output).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    const CALL: &str = r#"{"jsonrpc":"2.0","id":ID,"method":"tools/call","params":{"name":"list_chatbots","arguments":{},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#;

    #[test]
    fn answers_lines_and_counts_calls() {
        let (_folder, app, key) = app();
        let input: Vec<String> = (1..=6).map(|id| CALL.replace("ID", &id.to_string())).collect();
        let answers = talk(&app, &key, &input.join("\n"));
        assert_eq!(answers.len(), 6);
        for answer in &answers[..5] {
            assert_eq!(answer["result"]["structuredContent"]["total"], 0, "{answer}");
        }
        assert_eq!(answers[0]["result"]["_meta"]["com.chaterimo/quota"]["day"]["remaining"], 4);
        assert!(answers[4]["result"]["structuredContent"]["notice"].is_string());
        assert_eq!(answers[5]["result"]["isError"], true);
        let text = answers[5]["result"]["content"][0]["text"].as_str().unwrap();
        assert!(text.starts_with("quota_exceeded: the free plan's limit of 5 calls a day"), "{text}");
        assert_eq!(answers[5]["result"]["_meta"]["com.chaterimo/error"]["window"], "day");
    }

    #[test]
    fn answers_what_is_no_message() {
        let (_folder, app, key) = app();
        let answers = talk(&app, &key, "nonsense\n\n[]\n{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}");
        let codes: Vec<&Value> = answers.iter().map(|answer| &answer["error"]["code"]).collect();
        assert_eq!(codes, [&json!(-32700), &json!(-32600), &Value::Null]);
        assert_eq!(answers[2]["result"], json!({}));
    }

    /// A conversation in which the client waits for what it is told.
    struct Talk {
        to: std::io::PipeWriter,
        from: std::io::BufReader<std::io::PipeReader>,
    }

    impl Talk {
        fn say(&mut self, message: &Value) {
            writeln!(self.to, "{message}").unwrap();
        }

        fn hear(&mut self) -> Value {
            let mut line = String::new();
            std::io::BufRead::read_line(&mut self.from, &mut line).unwrap();
            serde_json::from_str(&line).unwrap()
        }
    }

    fn talk_with(talk: impl FnOnce(&mut Talk)) {
        talk_at(|_, client| talk(client));
    }

    fn talk_at(talk: impl FnOnce(&App, &mut Talk)) {
        let (_folder, app, key) = app();
        let put = app.store.write(Durability::Disk, move |tx| {
            let here = tx.tenant(organisation::named(tx, "acme")?.tenant);
            testing::chatbot(&here, 1, "Anna")
        });
        put.unwrap();
        app.start_training();
        let ((input, to), (from, output)) = (std::io::pipe().unwrap(), std::io::pipe().unwrap());
        thread::scope(|scope| {
            let server = scope.spawn(|| run(&app, &key, input, output).unwrap());
            let mut client = Talk { to, from: std::io::BufReader::new(from) };
            talk(&app, &mut client);
            drop(client.to);
            server.join().unwrap();
        });
        app.stop_training();
    }

    fn modern(id: impl Into<Value>, method: &str, mut params: Value) -> Value {
        params["_meta"]["io.modelcontextprotocol/protocolVersion"] = "2026-07-28".into();
        params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = json!({});
        json!({"jsonrpc": "2.0", "id": id.into(), "method": method, "params": params})
    }

    #[test]
    fn streams_and_answers_share_the_line() {
        talk_with(|client| {
            let notifications = json!({"resourceSubscriptions": ["chaterimo://chatbots/1"]});
            client.say(&modern("s", "subscriptions/listen", json!({"notifications": notifications})));
            assert_eq!(client.hear()["params"]["notifications"], notifications);
            let rename = |id: i64, name: &str| {
                let arguments = json!({"chatbot_id": 1, "name": name});
                modern(id, "tools/call", json!({"name": "update_chatbot_settings", "arguments": arguments}))
            };
            client.say(&rename(1, "Berta"));
            assert_eq!(client.hear()["id"], 1);
            let told = client.hear();
            assert_eq!(told["params"]["uri"], "chaterimo://chatbots/1", "{told}");
            assert_eq!(told["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], "s");
            let cancelled =
                json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "s"}});
            client.say(&cancelled);
            client.say(&rename(2, "Carla"));
            assert_eq!(client.hear()["id"], 2);
        });
    }

    #[test]
    fn a_stream_ends_with_its_key() {
        talk_at(|app, client| {
            let notifications = json!({"resourceSubscriptions": ["chaterimo://chatbots/1"]});
            client.say(&modern("s", "subscriptions/listen", json!({"notifications": notifications})));
            assert_eq!(client.hear()["params"]["notifications"], notifications);
            let now = app.clock.now();
            let revoked = app.store.write(Durability::Disk, move |tx| {
                crate::store::api_key::revoke(&tx.tenant(organisation::named(tx, "acme")?.tenant), 1, now)
            });
            revoked.unwrap();
            let last = client.hear();
            assert_eq!((&last["id"], &last["result"]["resultType"]), (&json!("s"), &json!("complete")));
        });
    }

    #[test]
    fn a_call_that_is_followed_is_answered_even_after_the_input_ends() {
        talk_with(|client| {
            let params = json!({"name": "retrain_chatbot", "arguments": {"chatbot_id": 1}, "_meta": {"progressToken": 7}});
            client.say(&modern(1, "tools/call", params));
            let (_, nobody) = std::io::pipe().unwrap();
            drop(std::mem::replace(&mut client.to, nobody));
            let mut progress = 0;
            let answer = loop {
                let message = client.hear();
                match message["method"].as_str() {
                    Some("notifications/progress") => progress += 1,
                    _ => break message,
                }
            };
            assert!(progress > 0);
            assert_eq!(answer["result"]["structuredContent"]["job"]["status"], "done", "{answer}");
        });
    }

    #[test]
    fn a_legacy_client_is_asked_between_its_messages() {
        talk_with(|client| {
            let legacy = |id: i64, method: &str, params: Value| json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
            let capabilities = json!({"elicitation": {}});
            let open = json!({"protocolVersion": "2025-06-18", "capabilities": capabilities});
            client.say(&legacy(0, "initialize", open));
            assert_eq!(client.hear()["id"], 0);
            let mut turn_off = |id: i64, answer: Value| {
                let arguments = json!({"chatbot_id": 1, "enabled": false});
                let params = json!({"name": "update_chatbot_settings", "arguments": arguments});
                client.say(&legacy(id, "tools/call", params));
                let asked = client.hear();
                assert_eq!(asked["method"], "elicitation/create", "{asked}");
                client.say(&legacy(90, "ping", json!({})));
                assert_eq!(client.hear()["id"], 90);
                client.say(&json!({"jsonrpc": "2.0", "id": asked["id"], "result": answer}));
                let answer = client.hear();
                assert_eq!(answer["id"], id);
                answer["result"]["isError"].as_bool().unwrap_or(false)
            };
            assert!(turn_off(1, json!({"action": "decline"})));
            assert!(!turn_off(2, json!({"action": "accept", "content": {"confirm": true}})));
        });
    }

    #[test]
    fn refuses_a_key_that_stands_for_nothing() {
        let (_folder, app, _) = app();
        let error = run(&app, "cha_nope", &b""[..], Vec::new()).unwrap_err();
        assert!(error.public.contains("CHATERIMO_API_KEY"), "{error}");
    }

    #[test]
    fn refuses_the_access_token_of_an_app() {
        let (_folder, app, _) = app();
        let now = app.clock.now();
        let (token, hash) = signed::generate(&app.keyring, signed::Purpose::Access);
        let made = app.store.write(Durability::Disk, move |tx| {
            let here = tx.tenant(organisation::named(tx, "acme")?.tenant);
            let user = testing::member(&here, "anna@example.com", "owner")?;
            let expires_at = now.plus(crate::clock::HOUR);
            let grant = oauth_grant::NewGrant {
                user,
                client_id: "app".into(),
                client_name: "App".into(),
                client_kind: "operator",
                redirect_origin: "https://app.example.com".into(),
                endpoint: "full",
                write: true,
                chatbots: None,
                expires_at,
            };
            let grant = oauth_grant::create(&here, &grant, now)?;
            let kind = oauth_token::Kind::Access;
            let token = oauth_token::NewToken { hash, kind, generation: 0, write: true, expires_at };
            oauth_token::create(&here, grant, &token, now)
        });
        made.unwrap();
        assert!(app.authenticate(&token).unwrap().is_some());
        let error = run(&app, &token, &b""[..], Vec::new()).unwrap_err();
        assert!(error.public.contains("holds the access token of an app"), "{error}");
    }
}
