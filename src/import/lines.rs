//! Lines of a file, within a limit, numbered from 1.

use std::io::{self, BufRead, Read as _};

/// Bytes of a line at most: room for the longest document, escaped.
pub const LINE_BYTES_MAX: usize = 8 << 20;

/// What U+FEFF is in UTF-8: some programs put it in front of a file.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// The lines of a reader.
pub struct Lines<R> {
    reader: R,
    number: u64,
}

/// A line, without its line feed.
#[derive(Debug, PartialEq, Eq)]
pub struct Line {
    /// Its number, from 1.
    pub number: u64,
    /// Its bytes; none when it is longer than [`LINE_BYTES_MAX`].
    pub bytes: Option<Vec<u8>>,
}

impl<R: BufRead> Lines<R> {
    pub fn new(reader: R) -> Lines<R> {
        Lines { reader, number: 0 }
    }

    /// The next line; `None` at the end. The byte order mark in front of the first is taken away.
    pub fn next(&mut self) -> io::Result<Option<Line>> {
        let mut bytes = Vec::new();
        let most = LINE_BYTES_MAX as u64 + 1;
        if (&mut self.reader).take(most).read_until(b'\n', &mut bytes)? == 0 {
            return Ok(None);
        }
        self.number += 1;
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
        } else if bytes.len() > LINE_BYTES_MAX {
            self.skip_line()?;
            return Ok(Some(Line { number: self.number, bytes: None }));
        }
        if self.number == 1 && bytes.starts_with(BYTE_ORDER_MARK) {
            bytes.drain(..BYTE_ORDER_MARK.len());
        }
        Ok(Some(Line { number: self.number, bytes: Some(bytes) }))
    }

    /// Reads on to the end of the line without keeping it.
    fn skip_line(&mut self) -> io::Result<()> {
        loop {
            let there = self.reader.fill_buf()?;
            let end = there.iter().position(|&byte| byte == b'\n');
            let read = end.map_or(there.len(), |place| place + 1);
            self.reader.consume(read);
            if end.is_some() || read == 0 {
                return Ok(());
            }
        }
    }
}

/// What is said of a line that is too long.
pub fn too_long() -> String {
    format!("it is longer than {} MiB: split it", LINE_BYTES_MAX >> 20)
}

/// What is said of bytes that are no UTF-8, after the `valid` bytes that are.
pub fn not_utf_8(valid: usize) -> String {
    format!("it is not UTF-8 (after {} bytes): save the file as UTF-8", valid)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &[u8]) -> Vec<Option<Vec<u8>>> {
        let mut lines = Lines::new(text);
        let mut found = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            found.push(line.bytes);
            assert_eq!(line.number as usize, found.len());
        }
        found
    }

    #[test]
    fn parts_at_line_feeds() {
        let check = |text: &str, expected: &[&str]| {
            let expected: Vec<_> = expected.iter().map(|line| Some(line.as_bytes().to_vec())).collect();
            assert_eq!(lines(text.as_bytes()), expected, "{text:?}");
        };
        check("", &[]);
        check("a", &["a"]);
        check("a\nb\n", &["a", "b"]);
        check("\n\na", &["", "", "a"]);
        check("\u{feff}a\n\u{feff}b", &["a", "\u{feff}b"]);
    }

    #[test]
    fn a_line_that_is_too_long_is_passed_over() {
        let mut text = vec![b'x'; LINE_BYTES_MAX];
        text.extend(b"\n");
        assert_eq!(lines(&text)[0].as_ref().map(Vec::len), Some(LINE_BYTES_MAX));
        text.insert(0, b'x');
        text.extend(b"after");
        assert_eq!(lines(&text), [None, Some(b"after".to_vec())]);
        assert_eq!(lines(&vec![b'x'; LINE_BYTES_MAX + 1]), [None]);
    }
}
