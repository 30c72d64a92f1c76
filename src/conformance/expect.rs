//! What checks say about an answer: each gives what was wanted, or stops the check with what came instead.

use serde_json::Value;

use super::check::{Stop, Verdict};
use crate::error::one_line;
use crate::peer::{End, Exchange, Wait};
use crate::protocol::rpc::is_response;

/// Fails with `wrong` unless `holds`.
///
/// # Errors
/// `Stop::Fails`.
pub fn ensure(holds: bool, wrong: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { Err(Stop::Fails(wrong())) }
}

/// Stops the check as not exercised.
///
/// # Errors
/// `Stop::Skips`, always.
pub fn skip<T>(why: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Skips(why.into()))
}

/// Fails the check.
///
/// # Errors
/// `Stop::Fails`, always.
pub fn fail<T>(wrong: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Fails(wrong.into()))
}

/// The answer, whether result or error.
///
/// # Errors
/// `Stop::Fails` when there is none.
pub fn answer(exchange: &Exchange) -> Result<&Value, Stop> {
    exchange.answer.as_ref().ok_or_else(|| Stop::Fails(what_came(exchange)))
}

/// The result of the answer.
///
/// # Errors
/// `Stop::Fails` with what came instead.
pub fn result(exchange: &Exchange) -> Result<&Value, Stop> {
    exchange.result().ok_or_else(|| Stop::Fails(what_came(exchange)))
}

/// The error of the answer, whose code is one of `codes`.
///
/// # Errors
/// `Stop::Fails` with what came instead.
pub fn error<'a>(exchange: &'a Exchange, codes: &[i64]) -> Result<&'a Value, Stop> {
    let wanted = codes.iter().map(i64::to_string).collect::<Vec<_>>().join(" or ");
    let wrong = || Stop::Fails(format!("wanted was the error {wanted}; {}", what_came(exchange)));
    let error = exchange.error().ok_or_else(wrong)?;
    match exchange.code().is_some_and(|code| codes.contains(&code)) {
        true => Ok(error),
        false => Err(wrong()),
    }
}

/// The HTTP status is one of `wanted`; on stdio there is none, and that is well.
///
/// # Errors
/// `Stop::Fails` with the one that came.
pub fn status(exchange: &Exchange, wanted: &[u16]) -> Verdict {
    let Some(came) = exchange.status else { return Ok(()) };
    let list = wanted.iter().map(u16::to_string).collect::<Vec<_>>().join(" or ");
    ensure(wanted.contains(&came), || format!("the HTTP status is {came}; wanted is {list}"))
}

/// The HTTP status says that the request is refused.
///
/// # Errors
/// `Stop::Fails` with the one that came.
pub fn refused(exchange: &Exchange) -> Verdict {
    let came = exchange.status.unwrap_or_default();
    ensure((400..500).contains(&came), || format!("the HTTP status is {came}; wanted is one of 400 to 499"))
}

/// What came, in a few words.
pub fn what_came(exchange: &Exchange) -> String {
    let status = exchange.status.map(|status| format!(" (HTTP {status})")).unwrap_or_default();
    if let Some(error) = exchange.error() {
        let Some(code) = error.get("code") else {
            return format!("the answer is an error without a code{status}");
        };
        let text = error.get("message").and_then(Value::as_str).unwrap_or_default();
        return format!("the answer is the error {code} {:?}{status}", short(text));
    }
    if exchange.result().is_some() {
        return format!("the answer is a result{status}");
    }
    let other = exchange.messages.iter().rfind(|message| is_response(message));
    if let (Wait::Answer(id), Some(other)) = (&exchange.sent.wait, other.and_then(|other| other.get("id"))) {
        return format!("no answer to the id {id} came, but one to {}{status}", short(&other.to_string()));
    }
    match exchange.end {
        End::TimedOut => format!("no answer came in time{status}"),
        End::Broken => format!("the connection ended without an answer{status}"),
        _ if exchange.status.is_none() => "no answer came".to_owned(),
        _ => format!("no JSON-RPC answer to this request came{status}"),
    }
}

/// At most 120 characters of `text`, on one line.
pub fn short(text: &str) -> String {
    let more = if text.chars().nth(120).is_some() { "…" } else { "" };
    one_line(text, 120) + more
}
