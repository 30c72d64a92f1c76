//! What came where an answer of MCP was to come, in one line.

use serde_json::Value;

use crate::error::Error;
use crate::peer::{End, Exchange, Peer};
use crate::protocol::rpc::quote;

/// Whether a message that came is one of MCP: other JSON is anybody's.
pub(super) fn is_mcp(message: &Value) -> bool {
    message["jsonrpc"] == "2.0"
}

/// That the server, which has said nothing of MCP yet, gave `exchange` for an answer to `method`.
pub(super) fn no_mcp(method: &str, exchange: &Exchange, peer: &Peer) -> Error {
    let (what, hint) = match exchange.status {
        Some(status) => (over_http(status, exchange), "Look at the URL."),
        None => (on_stdio(exchange, peer), "Look at the command."),
    };
    Error::invalid(format!("The server speaks no MCP: it answers {method} with {what}. {hint}"))
}

fn over_http(status: u16, exchange: &Exchange) -> String {
    if let Some(place) = exchange.header("location") {
        return format!("HTTP {status}, which leads to {}", quote(place));
    }
    let body = String::from_utf8_lossy(&exchange.body);
    match (body.trim(), exchange.end) {
        ("", End::TimedOut) => format!("HTTP {status} and then nothing"),
        ("", _) => format!("HTTP {status} and an empty body"),
        (body, _) => {
            let kind = exchange.media_type();
            let kind = if kind.is_empty() { "a body without a type" } else { &*kind };
            format!("HTTP {status} and {kind}: {}", quote(&title(body)))
        }
    }
}

fn on_stdio(exchange: &Exchange, peer: &Peer) -> String {
    let other_json = || exchange.messages.first().map(|message| quote(&message.to_string()));
    match peer.printed().or_else(other_json) {
        Some(line) => format!("no message; it printed {line}"),
        None => "nothing".to_owned(),
    }
}

/// The first line that a process printed and that is no message, quoted.
/// What a body is about: the title of a page, or else all of it, on one line.
fn title(body: &str) -> String {
    let lower = body.to_ascii_lowercase();
    let titled = || {
        let open = lower.find("<title")?;
        let from = open + lower.get(open..)?.find('>')? + 1;
        let to = from + lower.get(from..)?.find("</title")?;
        body.get(from..to).filter(|title| !title.trim().is_empty())
    };
    titled().unwrap_or(body).split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_told_by_its_title() {
        let check = |body: &str, expected: &str| assert_eq!(title(body), expected, "{body}");
        check("<html><HEAD><Title lang=en>Welcome\n to it</title><p>x", "Welcome to it");
        check("<p>404\n\n page", "<p>404 page");
        check("<title></title><p>x", "<title></title><p>x");
        check("<title>ÄÖ", "<title>ÄÖ");
        check("<title", "<title");
        check("{\"status\": \"ok\"}", "{\"status\": \"ok\"}");
    }
}
