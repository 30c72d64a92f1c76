//! Reads lines out of bytes in whatever pieces they come: the framing of stdio, one message a line.

/// A stream of lines being read.
#[derive(Debug)]
pub struct Lines {
    line: Vec<u8>,
    /// The line so far is too long; the rest of it is skipped.
    skipping: bool,
    max_bytes: usize,
}

/// A line without its end, or the news that it had more bytes than are taken.
pub type Line = Result<Vec<u8>, TooLong>;

/// A line had more bytes than are taken; it was skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

impl Lines {
    /// A reader for the start of a stream whose lines have at most `max_bytes` each, line ends not counted.
    pub fn new(max_bytes: usize) -> Lines {
        Lines { line: Vec::new(), skipping: false, max_bytes }
    }

    /// The lines that `bytes` complete. They end in `\n` or `\r\n`; blank ones are left out.
    pub fn push(&mut self, mut bytes: &[u8]) -> Vec<Line> {
        let mut lines = Vec::new();
        while let Some(end) = bytes.iter().position(|b| *b == b'\n') {
            self.keep(&bytes[..end]);
            lines.extend(self.finish());
            bytes = &bytes[end + 1..];
        }
        self.keep(bytes);
        lines
    }

    /// What the stream ended with after its last line end, unless that is blank.
    pub fn finish(&mut self) -> Option<Line> {
        let mut line = std::mem::take(&mut self.line);
        line.pop_if(|last| *last == b'\r');
        if std::mem::take(&mut self.skipping) || line.len() > self.max_bytes {
            return Some(Err(TooLong));
        }
        (!line.trim_ascii().is_empty()).then_some(Ok(line))
    }

    fn keep(&mut self, piece: &[u8]) {
        // One byte more than a line may have: it may be the \r of its end.
        if self.skipping || self.line.len() + piece.len() > self.max_bytes + 1 {
            self.skipping = true;
            self.line = Vec::new();
        } else {
            self.line.extend_from_slice(piece);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever the pieces, `stream` holds these lines; `!` stands for one that is too long.
    fn check(stream: &str, expected: &[&str]) {
        for size in 1..=stream.len() {
            let mut lines = Lines::new(5);
            let mut found: Vec<Line> =
                stream.as_bytes().chunks(size).flat_map(|piece| lines.push(piece)).collect();
            found.extend(lines.finish());
            let texts =
                found.into_iter().map(|line| line.map_or("!".into(), |l| String::from_utf8(l).unwrap()));
            assert_eq!(texts.collect::<Vec<_>>(), expected, "{stream:?} in pieces of {size}");
        }
    }

    #[test]
    fn reads_lines_in_any_pieces() {
        check("one\ntwo\n", &["one", "two"]);
        check("one\r\ntwo", &["one", "two"]);
        check("\n \r\n\none\n", &["one"]);
        check("12345\n12345\r\n123456\none\n", &["12345", "12345", "!", "one"]);
        check("1234567890\r\n123456", &["!", "!"]);
    }
}
