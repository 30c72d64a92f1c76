//! What was sent and what came back.

use std::time::Duration;

use bytes::Bytes;
use hyper::HeaderMap;
use serde_json::Value;

use crate::protocol::rpc::is_response;

/// Header fields, in the order they are sent; names in lower case.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Headers(pub Vec<(String, Vec<u8>)>);

impl Headers {
    /// Sets a field, in the place of any of that name.
    pub fn set(&mut self, name: &str, value: &str) {
        self.set_bytes(name, value.as_bytes());
    }

    /// Sets a field whose value may be no text.
    pub fn set_bytes(&mut self, name: &str, value: &[u8]) {
        self.remove(name);
        self.0.push((name.to_ascii_lowercase(), value.to_vec()));
    }

    /// Takes a field out.
    pub fn remove(&mut self, name: &str) {
        self.0.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
    }

    /// The same fields with this one set.
    pub fn with(mut self, name: &str, value: &str) -> Headers {
        self.set(name, value);
        self
    }

    /// The same fields without this one.
    pub fn without(mut self, name: &str) -> Headers {
        self.remove(name);
        self
    }

    /// Sets all fields of `others`.
    pub fn extend(&mut self, others: &Headers) {
        others.0.iter().for_each(|(name, value)| self.set_bytes(name, value));
    }

    /// The value of a field, as far as it is text.
    pub fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(value).ok()
    }
}

/// What to wait for after sending.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Wait {
    /// The answer with this id, also of another type ([`same_id`]), or one that leaves the id out.
    Answer(Value),
    /// Whatever answer comes.
    Any,
    /// Nothing: on HTTP the end of the body all the same.
    #[default]
    None,
}

/// A request as it is to be sent.
#[derive(Clone, Debug, Default)]
pub struct Raw {
    /// The HTTP method.
    pub method: String,
    /// The fields, beside those of the options.
    pub headers: Headers,
    /// The body, or the line.
    pub body: Bytes,
    /// What to wait for.
    pub wait: Wait,
    /// Another URL than that of the endpoint.
    pub url: Option<String>,
}

impl Raw {
    /// The same with another body.
    pub fn with_body(mut self, body: impl Into<Bytes>) -> Raw {
        self.body = body.into();
        self
    }

    /// The same with this field set.
    pub fn with(mut self, name: &str, value: &str) -> Raw {
        self.headers.set(name, value);
        self
    }

    /// The same without this field.
    pub fn without(mut self, name: &str) -> Raw {
        self.headers.remove(name);
        self
    }

    /// The same, waiting for this.
    pub fn waiting(mut self, wait: Wait) -> Raw {
        self.wait = wait;
        self
    }
}

/// How an answer ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum End {
    /// It came whole; a stream was ended by the server.
    #[default]
    Whole,
    /// What was waited for came, and the stream was left open by the server.
    LeftOpen,
    /// The time was over first.
    TimedOut,
    /// The connection broke, or the process ended.
    Broken,
}

/// What was sent and all that came back.
#[derive(Clone, Debug, Default)]
pub struct Exchange {
    /// The request.
    pub sent: Raw,
    /// The HTTP status; `None` on stdio.
    pub status: Option<u16>,
    /// The header fields of the answer.
    pub headers: HeaderMap,
    /// The body as it came; on stdio the lines that came.
    pub body: Vec<u8>,
    /// Every JSON-RPC message that came, the answer among them; a batch is its messages.
    pub messages: Vec<Value>,
    /// The answer: the message without a method that has the id, or none.
    pub answer: Option<Value>,
    /// Whether messages came within an array.
    pub has_batch: bool,
    /// How it ended.
    pub end: End,
}

impl Exchange {
    /// The `result` of the answer.
    pub fn result(&self) -> Option<&Value> {
        self.answer.as_ref()?.get("result")
    }

    /// The `error` of the answer.
    pub fn error(&self) -> Option<&Value> {
        self.answer.as_ref()?.get("error")
    }

    /// The code of that error.
    pub fn code(&self) -> Option<i64> {
        self.error()?.get("code")?.as_i64()
    }

    /// The value of a header field of the answer, as far as it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The media type of the answer, in lower case, without parameters.
    pub fn media_type(&self) -> String {
        let value = self.header("content-type").unwrap_or_default();
        value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
    }

    /// How the server says that it is asked too often, in words: by 429, or by 503 with `Retry-After`.
    pub fn limit(&self) -> Option<String> {
        let after = self.header("retry-after");
        let status = self.status.filter(|status| *status == 429 || (*status == 503 && after.is_some()))?;
        let after =
            after.map(|after| format!(", Retry-After: {}", after.chars().take(40).collect::<String>()));
        Some(format!("HTTP {status}{}", after.unwrap_or_default()))
    }

    /// The seconds of `Retry-After`; of one that is a date, nothing.
    pub fn retry_after(&self) -> Option<Duration> {
        self.header("retry-after")?.trim().parse().ok().map(Duration::from_secs)
    }

    /// Takes a message that came; true when it is what was waited for.
    pub(super) fn take(&mut self, value: Value) -> bool {
        let all = match value {
            Value::Array(all) => {
                self.has_batch = true;
                all
            }
            one => vec![one],
        };
        let mut done = false;
        for message in all {
            if self.answer.is_none() && fits(&self.sent.wait, &message) {
                self.answer = Some(message.clone());
                done = true;
            }
            self.messages.push(message);
        }
        done
    }
}

fn fits(wait: &Wait, message: &Value) -> bool {
    let id = message.get("id");
    is_response(message)
        && match wait {
            Wait::Answer(wanted) => id.is_none_or(|id| id.is_null() || same_id(id, wanted)),
            Wait::Any | Wait::None => true,
        }
}

/// Whether two ids are the same, or the same digits of another type (7, "7" and 7.0): who mixes these up has answered all
/// the same.
pub fn same_id(one: &Value, other: &Value) -> bool {
    let number = |id: &Value| id.as_f64().or_else(|| id.as_str()?.parse().ok());
    one == other || number(one).is_some_and(|one| number(other) == Some(one))
}
