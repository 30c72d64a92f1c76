//! One message a line: the framing of stdio (MCP 2026-07-28, "stdio").

use crate::protocol::rpc::{Fault, INVALID_REQUEST, Response};

/// Cuts bytes into lines as they come. Blank lines are passed over, and a carriage return at the end is not part of
/// the line. A line above the limit is answered once and skipped to its end; what follows is read as usual.
#[derive(Debug)]
pub struct Lines {
    max_bytes: usize,
    line: Vec<u8>,
    /// The line at hand is above the limit and has been answered.
    skipping: bool,
}

/// A line, or the answer to one that is too long.
pub type Frame = Result<Vec<u8>, Response>;

impl Lines {
    /// A decoder for lines of at most `max_bytes` bytes without their end.
    pub fn new(max_bytes: usize) -> Lines {
        Lines { max_bytes, line: Vec::new(), skipping: false }
    }

    /// Takes the next bytes; gives the lines that end in them.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<Frame> {
        let mut frames = Vec::new();
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            let (text, ends) = match piece.split_last() {
                Some((b'\n', text)) => (text, true),
                _ => (piece, false),
            };
            frames.extend(self.take(text));
            if ends {
                frames.extend(self.end());
            }
        }
        frames
    }

    /// The input is over, or the line is: gives what stands without its newline.
    pub fn end(&mut self) -> Option<Frame> {
        let mut line = std::mem::take(&mut self.line);
        if std::mem::take(&mut self.skipping) {
            return None;
        }
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        let blank = line.iter().all(u8::is_ascii_whitespace);
        (!blank).then_some(Ok(line))
    }

    fn take(&mut self, text: &[u8]) -> Option<Frame> {
        if self.skipping {
            return None;
        }
        if self.line.len() + text.len() > self.max_bytes {
            self.line = Vec::new();
            self.skipping = true;
            let text = format!("The line has more than {} bytes; it was skipped.", self.max_bytes);
            return Some(Err(Fault::new(413, INVALID_REQUEST, text).reply(None)));
        }
        self.line.extend_from_slice(text);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(chunks: &[&str]) -> Vec<String> {
        let mut lines = Lines::new(8);
        let mut frames: Vec<_> = chunks.iter().flat_map(|chunk| lines.feed(chunk.as_bytes())).collect();
        frames.extend(lines.end());
        let shown = |frame: Frame| frame.map_or_else(|_| "!".into(), |line| String::from_utf8(line).unwrap());
        frames.into_iter().map(shown).collect()
    }

    #[test]
    fn cuts_lines_wherever_the_chunks_end() {
        let check = |chunks: &[&str], expected: &[&str]| assert_eq!(frames(chunks), expected, "{chunks:?}");
        check(&["a\nb\n"], &["a", "b"]);
        check(&["a", "b", "\n", "c"], &["ab", "c"]);
        check(&["a\r\n\r\n \n\nb\r", "\n"], &["a", "b"]);
        check(&[""], &[]);
        check(&["12345678\n"], &["12345678"]);
    }

    #[test]
    fn skips_a_line_above_the_limit_and_goes_on() {
        let check = |chunks: &[&str], expected: &[&str]| assert_eq!(frames(chunks), expected, "{chunks:?}");
        check(&["123456789\nb\n"], &["!", "b"]);
        check(&["12345678", "9", "123456789", "1\nb\n"], &["!", "b"]);
        check(&["123456789"], &["!"]);
        check(&["12345678\r\n"], &["!"]);
    }
}
