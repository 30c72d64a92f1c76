//! MCP over stdin and stdout, on the local database: one JSON-RPC message a line. Nothing else is written to stdout.
//!
//! Messages are answered in their order, on one thread: a tool takes milliseconds, so a cancellation that arrives
//! behind the call it is for finds it answered.

use std::io::{ErrorKind, Read, Write};

use crate::access::{Endpoint, Grant};
use crate::app::{self, App, Caller};
use crate::clock::instant;
use crate::error::{Error, Kind, Result};
use crate::protocol::framing::lines::{Frame, Lines};
use crate::protocol::{Incoming, Message, Outcome, Refusal, Response, Session, Step, rpc};

/// Bytes of a line at most.
const LINE_BYTES_MAX: usize = 1 << 20;
/// Bytes read at a time.
const CHUNK_BYTES: usize = 64 * 1024;

/// Answers what comes in on `input` until it ends, in the name of `key`.
///
/// # Errors
/// `Unauthorized` when the key stands for nothing; `Internal` when `output` cannot be written.
pub fn run(app: &App, key: &str, mut input: impl Read, output: impl Write) -> Result<()> {
    let grant = app.authenticate(key)?.ok_or_else(refused)?;
    if grant.audience.is_some() {
        return Err(Error::new(
            Kind::Unauthorized,
            "CHATERIMO_API_KEY holds the access token of an app, which is for HTTP alone. Put an API key into it; \
             `chaterimo key create` makes one.",
        ));
    }
    let mut lines = Lines::new(LINE_BYTES_MAX);
    let mut wire = Wire { app, key, session: Session::default(), output };
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let length = match input.read(&mut chunk) {
            Ok(0) => break,
            Ok(length) => length,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(Error::internal(error)),
        };
        for frame in lines.feed(&chunk[..length]) {
            wire.frame(frame)?;
        }
    }
    lines.end().map_or(Ok(()), |frame| wire.frame(frame))
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
    session: Session,
    output: W,
}

impl<W: Write> Wire<'_, W> {
    fn frame(&mut self, frame: Frame) -> Result<()> {
        let answer = match frame.and_then(|line| rpc::parse(&line)) {
            Ok(Incoming::One(message)) => self.message(message)?,
            Ok(Incoming::Batch(batch)) => self.batch(batch)?,
            Err(answer) => Some(answer),
        };
        answer.map_or(Ok(()), |answer| self.write(answer))
    }

    fn batch(&mut self, batch: Vec<Message>) -> Result<Option<Response>> {
        if let Err(answer) = self.app.engine.accepts_batch(&self.session, &batch) {
            return Ok(Some(answer));
        }
        let mut answers = Vec::new();
        for message in batch {
            answers.extend(self.message(message)?);
        }
        Ok((!answers.is_empty()).then(|| rpc::join(&answers)))
    }

    /// The key is looked up for each message, so that one that is revoked ends at once.
    fn message(&mut self, message: Message) -> Result<Option<Response>> {
        let arrived = instant();
        let grant = self.app.authenticate(self.key)?;
        let reach = grant.as_ref().map(|grant| crate::access::reach(self.signals(grant)));
        let view = app::view(reach.unwrap_or(crate::access::Reach::ReadOnlyGrant));
        match self.app.engine.handle(&mut self.session, view, None, message) {
            Step::Reply(answer) => Ok(Some(answer)),
            Step::Call(call) => {
                let Some(grant) = grant else {
                    let message = refused().public;
                    let refusal = Refusal { code: "unauthorized", message, data: None, meta: None };
                    return Ok(Some(call.finish(Outcome::Refused(refusal))));
                };
                let caller =
                    Caller { signals: self.signals(&grant), grant: &grant, transport: "stdio", arrived };
                Ok(Some(self.app.call(&caller, call).at_once().response))
            }
            Step::Cancel(_) | Step::Resume(..) | Step::Listen(_) | Step::Accepted => Ok(None),
        }
    }

    fn signals(&self, grant: &Grant) -> crate::access::Signals {
        self.app.signals(grant, Endpoint::Full, false)
    }

    fn write(&mut self, mut answer: Response) -> Result<()> {
        answer.body.push(b'\n');
        let written = self.output.write_all(&answer.body).and_then(|()| self.output.flush());
        written.map_err(Error::internal)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::access::signed;
    use crate::clock::Clock;
    use crate::store::organisation::{self, Plan};
    use crate::store::{Durability, oauth_grant, oauth_token, testing};

    fn app() -> (tempfile::TempDir, App, String) {
        let folder = tempfile::tempdir().unwrap();
        let app = App::open(folder.path(), Clock::System, false, vec![]).unwrap();
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
