//! The log as a file: CSV (RFC 4180) for spreadsheets, JSON Lines for programs.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::io::Write as _;

use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{self, HeaderValue};
use serde::Serialize;
use serde_json::value::RawValue;

use super::Asked;
use crate::clock::Time;
use crate::error::{Error, Kind, Result};
use crate::http::pages::format::Times;
use crate::http::respond::{self, Answer, Payload, Refusal};
use crate::http::visit::Visit;
use crate::store::call_log::{self, Credential, Entry};

/// Calls of a file at most; the page says so.
pub(super) const ROWS_MAX: usize = 100_000;
/// Bytes of a file, whereupon it ends; the page says so.
const BYTES_MAX: usize = 32 << 20;

/// The columns of the CSV; they are the names in JSON, too. `who` is the key's label or the app's name, `person` who
/// allowed the app.
const COLUMNS: &str = "id,at,credential,who,person,client,client_version,transport,endpoint,tool,arguments,outcome,duration_us,day_remaining";

/// The calls that a search finds, as CSV.
pub(in crate::http) fn csv(visit: &Visit<'_>) -> Result<Answer, Refusal> {
    let mut file = format!("{COLUMNS}\r\n").into_bytes();
    collect(visit, &mut file, put_csv)?;
    Ok(attachment(file, "text/csv; charset=utf-8", "attachment; filename=\"mcp-sessions.csv\""))
}

/// The same as JSON Lines.
pub(in crate::http) fn jsonl(visit: &Visit<'_>) -> Result<Answer, Refusal> {
    let mut file = Vec::new();
    collect(visit, &mut file, put_json)?;
    Ok(attachment(file, "application/x-ndjson", "attachment; filename=\"mcp-sessions.jsonl\""))
}

fn collect(
    visit: &Visit<'_>,
    file: &mut Vec<u8>,
    put: fn(&mut Vec<u8>, &Entry, &Credential) -> Result<()>,
) -> Result<(), Refusal> {
    let visitor = visit.member()?;
    let times = Times::new(&visitor.organisation.timezone, visit.asked.now());
    let asked = Asked::of(&visit.asked.query(), &times)?;
    let full = || Error::new(Kind::TooLarge, "full");
    let read = visit.asked.site.app.store.read(|tx| {
        let (tx, mut named) = (tx.tenant(visitor.organisation.tenant), HashMap::new());
        call_log::each(&tx, &asked.filter, ROWS_MAX, |call| {
            if file.len() >= BYTES_MAX {
                return Err(full());
            }
            let who = match named.entry(call.credential.clone()) {
                Slot::Occupied(known) => known.into_mut(),
                Slot::Vacant(new) => new.insert(call_log::credential(&tx, &call.credential)?),
            };
            put(file, &call, who)
        })
    });
    match read {
        Err(error) if error.kind != Kind::TooLarge => Err(error.into()),
        _ => Ok(()),
    }
}

fn attachment(file: Vec<u8>, kind: &'static str, disposition: &'static str) -> Answer {
    let mut answer = respond::empty(StatusCode::OK);
    *answer.body_mut() = Payload::Whole(Bytes::from(file));
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static(disposition));
    answer
}

fn put_csv(file: &mut Vec<u8>, call: &Entry, who: &Credential) -> Result<()> {
    let at = call.at.to_string();
    write!(file, "{},{at},", call.id).map_err(Error::internal)?;
    let texts = [
        &call.credential,
        who.name.as_str(),
        who.person.as_deref().unwrap_or_default(),
        &call.client,
        &call.client_version,
        &call.transport,
        &call.endpoint,
        &call.tool,
        &call.arguments,
        &call.outcome,
    ];
    for text in texts {
        put_cell(file, text);
        file.push(b',');
    }
    let left = call.day_remaining.map(|left| left.to_string()).unwrap_or_default();
    write!(file, "{},{left}\r\n", call.duration_us).map_err(Error::internal)
}

/// A text as a cell. What a spreadsheet would take for a formula gets an apostrophe in front, which makes it a text there.
fn put_cell(file: &mut Vec<u8>, text: &str) {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']);
    let quoted = text.contains(['"', ',', '\r', '\n']);
    if quoted {
        file.push(b'"');
    }
    if formula {
        file.push(b'\'');
    }
    match quoted {
        true => file.extend_from_slice(text.replace('"', "\"\"").as_bytes()),
        false => file.extend_from_slice(text.as_bytes()),
    }
    if quoted {
        file.push(b'"');
    }
}

/// One line of the JSON Lines.
#[derive(Serialize)]
struct Line<'a> {
    id: i64,
    at: Time,
    credential: &'a str,
    who: &'a str,
    person: Option<&'a str>,
    client: &'a str,
    client_version: &'a str,
    transport: &'a str,
    endpoint: &'a str,
    tool: &'a str,
    arguments: &'a RawValue,
    outcome: &'a str,
    duration_us: i64,
    day_remaining: Option<i64>,
}

fn put_json(file: &mut Vec<u8>, call: &Entry, who: &Credential) -> Result<()> {
    let line = Line {
        id: call.id,
        at: call.at,
        credential: &call.credential,
        who: &who.name,
        person: who.person.as_deref(),
        client: &call.client,
        client_version: &call.client_version,
        transport: &call.transport,
        endpoint: &call.endpoint,
        tool: &call.tool,
        arguments: serde_json::from_str(&call.arguments).map_err(Error::internal)?,
        outcome: &call.outcome,
        duration_us: call.duration_us,
        day_remaining: call.day_remaining,
    };
    serde_json::to_writer(&mut *file, &line).map_err(Error::internal)?;
    file.push(b'\n');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_and_no_formulas() {
        let check = |text: &str, expected: &str| {
            let mut file = Vec::new();
            put_cell(&mut file, text);
            assert_eq!(String::from_utf8(file).unwrap(), expected);
        };
        check("claude-ai", "claude-ai");
        check("", "");
        check("a,b", "\"a,b\"");
        check("say \"hi\"", "\"say \"\"hi\"\"\"");
        check("two\nlines", "\"two\nlines\"");
        check("=HYPERLINK(\"http://evil\")", "\"'=HYPERLINK(\"\"http://evil\"\")\"");
        check("+1", "'+1");
        check("-1", "'-1");
        check("@x", "'@x");
        check("\t=1", "'\t=1");
        check("a=1", "a=1");
    }

    #[test]
    fn a_row_in_both_formats() {
        let call = Entry {
            id: 7,
            at: Time(1_795_334_400_250),
            credential: "key:3".into(),
            client: "=cmd".into(),
            client_version: "1".into(),
            transport: "http".into(),
            endpoint: "full".into(),
            tool: "get_ticket".into(),
            arguments: "{\"ticket_id\":5}".into(),
            outcome: "ok".into(),
            duration_us: 812,
            day_remaining: None,
        };
        let (mut csv, mut json) = (Vec::new(), Vec::new());
        let who = Credential {
            id: "key:3".into(),
            kind: "App",
            name: "Claude, at work".into(),
            person: Some("@anna".into()),
            revoked: false,
        };
        put_csv(&mut csv, &call, &who).unwrap();
        put_json(&mut json, &call, &who).unwrap();
        assert_eq!(
            String::from_utf8(csv).unwrap(),
            "7,2026-11-22T08:00:00.25Z,key:3,\"Claude, at work\",'@anna,'=cmd,1,http,full,get_ticket,\"{\"\"ticket_id\"\":5}\",ok,812,\r\n"
        );
        let line: serde_json::Value = serde_json::from_slice(&json).unwrap();
        assert_eq!(line["arguments"]["ticket_id"], 5);
        assert_eq!((&line["client"], &line["person"]), (&"=cmd".into(), &"@anna".into()));
        let columns: Vec<&str> = COLUMNS.split(',').collect();
        assert_eq!(line.as_object().unwrap().keys().collect::<Vec<_>>(), columns);
    }
}
