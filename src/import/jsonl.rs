//! JSONL: one JSON object a line, of which the member `type` says what it is.

use std::io::{self, BufRead};

use super::lines::{Line, Lines, not_utf_8, too_long};
use super::record::Record;
use super::{Refused, Row};

/// The rows of a JSONL file.
pub struct Jsonl<R> {
    lines: Lines<R>,
}

impl<R: BufRead> Jsonl<R> {
    pub fn new(reader: R) -> Jsonl<R> {
        Jsonl { lines: Lines::new(reader) }
    }

    /// The next row; `None` at the end. Lines with nothing but space are no rows.
    pub fn next(&mut self) -> io::Result<Option<Row>> {
        while let Some(line) = self.lines.next()? {
            if line.bytes.as_ref().is_none_or(|bytes| !bytes.trim_ascii().is_empty()) {
                return Ok(Some(row(&line)));
            }
        }
        Ok(None)
    }
}

fn row(line: &Line) -> Row {
    let Some(bytes) = &line.bytes else { return Row::wrong(line.number, None, too_long()) };
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(e) => return Row::wrong(line.number, None, not_utf_8(e.valid_up_to())),
    };
    match Record::parse(text) {
        Ok(record) => {
            let kind = Some(record.kind());
            Row { line: line.number, bytes: bytes.len(), kind, content: Ok(record) }
        }
        Err((kind, reason)) => {
            Row { line: line.number, bytes: bytes.len(), kind, content: Err(Refused::Wrong(reason)) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_line_is_named_and_the_rest_goes_on() {
        let mut text =
            b"\xEF\xBB\xBF{\"type\":\"product\",\"source\":\"s\",\"handle\":\"a\",\"title\":\"A\"}\r\n \n"
                .to_vec();
        text.extend(
            b"{\"type\":\"product\",\"title\":\"caf\xC3\"}\nnot json\n[1]\n\n{\"type\":\"document\"}",
        );
        let mut rows = Jsonl::new(&text[..]);
        let mut found = Vec::new();
        while let Some(row) = rows.next().unwrap() {
            let reason = match row.content {
                Err(Refused::Wrong(reason)) => reason.split(' ').take(4).collect::<Vec<_>>().join(" "),
                other => format!("{}", other.is_ok()),
            };
            found.push((row.line, row.kind, reason));
        }
        let expected = [
            (1, Some("product"), "true"),
            (3, None, "it is not UTF-8"),
            (4, None, "it is no JSON:"),
            (5, None, "it is no JSON"),
            (7, Some("document"), "true"),
        ];
        let found: Vec<_> =
            found.iter().map(|(line, kind, reason)| (*line, *kind, reason.as_str())).collect();
        assert_eq!(found, expected);
    }
}
