//! Reads along with hyper what a connection sends, and stops a message whose length could be read in two ways.
//!
//! hyper silently drops a `Content-Length` that stands beside a `Transfer-Encoding`, folds equal lengths into one
//! and accepts a bare LF. Each is how a request is smuggled past a proxy (RFC 9112 sections 2.2, 5.2, 6.3 and 11.2),
//! so each is answered with 400 and the end of the connection. The screen follows the framing alone; everything
//! else about a request is hyper's and the router's to judge.

use std::io::BufRead as _;

/// What hyper is given instead of a line that may not pass: never valid, whatever came before, and an end of the
/// head, so that hyper answers 400 at once.
pub(super) const POISON: &[u8] = b"\0\r\n\r\n";

/// The framing of one connection's requests, as far as it was read.
#[derive(Default)]
pub(super) struct Screen {
    part: Part,
    /// The start of a line whose end has not come yet.
    carry: Vec<u8>,
    length: Option<u64>,
    chunked: bool,
}

/// Where in a message the next byte belongs.
#[derive(Clone, Copy, Default)]
enum Part {
    /// Before the request line; empty lines are skipped (RFC 9112 section 2.2).
    #[default]
    Start,
    Fields,
    Sized(u64),
    ChunkSize,
    Chunk(u64),
    ChunkEnd,
    Trailers,
}

/// A line that may not pass.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ambiguous;

impl Screen {
    /// Whether the last message is complete, so that nothing of it is left unread.
    pub(super) fn at_rest(&self) -> bool {
        matches!(self.part, Part::Start) && self.carry.is_empty()
    }

    /// Reads `bytes` along. The error is how many of them, from the first, may still pass.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Result<(), usize> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let passed = bytes.len() - rest.len();
            rest = match &mut self.part {
                Part::Sized(left) | Part::Chunk(left) => {
                    let step = usize::try_from(*left).unwrap_or(usize::MAX).min(rest.len());
                    *left -= step as u64;
                    self.leave_data();
                    &rest[step..]
                }
                _ => self.read_line(rest).map_err(|Ambiguous| passed)?,
            };
        }
        Ok(())
    }

    fn leave_data(&mut self) {
        match self.part {
            Part::Sized(0) => self.begin(),
            Part::Chunk(0) => self.part = Part::ChunkEnd,
            _ => {}
        }
    }

    fn begin(&mut self) {
        self.part = Part::Start;
        self.length = None;
        self.chunked = false;
    }

    fn read_line<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], Ambiguous> {
        let mut rest = bytes;
        // The quickest search for a byte that the standard library has; reading a slice cannot fail.
        let length = rest.skip_until(b'\n').unwrap_or(bytes.len());
        let line = &bytes[..length];
        if !line.ends_with(b"\n") {
            self.carry.extend_from_slice(line);
            return Ok(rest);
        }
        if self.carry.is_empty() {
            self.line(line)?;
        } else {
            let mut whole = std::mem::take(&mut self.carry);
            whole.extend_from_slice(line);
            self.line(&whole)?;
        }
        Ok(rest)
    }

    fn line(&mut self, line: &[u8]) -> Result<(), Ambiguous> {
        let line = line.strip_suffix(b"\r\n").ok_or(Ambiguous)?;
        match self.part {
            Part::Start if line.is_empty() => {}
            Part::Start => self.part = Part::Fields,
            Part::Fields if line.is_empty() => self.end_of_head(),
            Part::Fields => self.field(line)?,
            Part::ChunkSize => self.chunk_size(line)?,
            Part::ChunkEnd if line.is_empty() => self.part = Part::ChunkSize,
            Part::ChunkEnd => return Err(Ambiguous),
            Part::Trailers if line.is_empty() => self.begin(),
            Part::Trailers | Part::Sized(_) | Part::Chunk(_) => {}
        }
        Ok(())
    }

    fn end_of_head(&mut self) {
        match self.length {
            _ if self.chunked => self.part = Part::ChunkSize,
            Some(length) if length > 0 => self.part = Part::Sized(length),
            _ => self.begin(),
        }
    }

    fn field(&mut self, line: &[u8]) -> Result<(), Ambiguous> {
        if matches!(line.first(), Some(b' ' | b'\t')) {
            return Err(Ambiguous);
        }
        // The two names are told from most others by their length, which is the cheapest question.
        if let Some(value) = value_of(line, b"content-length") {
            let length = decimal(value).ok_or(Ambiguous)?;
            if self.chunked || self.length.replace(length).is_some() {
                return Err(Ambiguous);
            }
        } else if let Some(value) = value_of(line, b"transfer-encoding") {
            if !value.eq_ignore_ascii_case(b"chunked") || self.chunked || self.length.is_some() {
                return Err(Ambiguous);
            }
            self.chunked = true;
        }
        Ok(())
    }

    fn chunk_size(&mut self, line: &[u8]) -> Result<(), Ambiguous> {
        let digits = line.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii_end();
        let digits = std::str::from_utf8(digits).map_err(|_| Ambiguous)?;
        if digits.is_empty() || digits.len() > 15 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(Ambiguous);
        }
        self.part = match u64::from_str_radix(digits, 16) {
            Ok(0) => Part::Trailers,
            Ok(size) => Part::Chunk(size),
            Err(_) => return Err(Ambiguous),
        };
        Ok(())
    }
}

fn value_of<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (head, tail) = line.split_at_checked(name.len())?;
    let value = match tail.first()? {
        b':' => tail.get(1..)?,
        // A space before the colon is no field hyper accepts, but let no doubt arise here.
        b' ' | b'\t' => tail,
        _ => return None,
    };
    head.eq_ignore_ascii_case(name).then(|| value.trim_ascii())
}

fn decimal(text: &[u8]) -> Option<u64> {
    let plain = !text.is_empty() && text.len() <= 18 && text.iter().all(u8::is_ascii_digit);
    plain.then(|| text.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "POST /mcp HTTP/1.1\r\nHost: a\r\n";

    /// What passes, whole and byte by byte: the same; and whether the screen is at rest after it.
    fn check(rest: &str, passes: bool, at_rest: bool) {
        let text = format!("{HEAD}{rest}");
        let mut whole = Screen::default();
        assert_eq!(whole.read(text.as_bytes()).is_ok(), passes, "{rest:?}");
        let mut split = Screen::default();
        let outcome = text.as_bytes().iter().try_for_each(|byte| split.read(&[*byte]));
        assert_eq!(outcome.is_ok(), passes, "byte by byte: {rest:?}");
        if passes {
            assert_eq!((whole.at_rest(), split.at_rest()), (at_rest, at_rest), "{rest:?}");
        }
    }

    #[test]
    fn follows_plain_messages() {
        check("\r\n", true, true);
        check("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", true, true);
        check("Content-Length: 3\r\n\r\nabc", true, true);
        check("Content-Length: 3\r\n\r\nab", true, false);
        check("Content-Length: 3\r\n\r\n\n\n\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", true, true);
        check("Transfer-Encoding: Chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\n\r\n", true, true);
        check("Transfer-Encoding: chunked\r\n\r\nA\r\n0123456789\r\n0\r\nT: v\r\n\r\n", true, true);
        check("Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", true, false);
    }

    #[test]
    fn stops_what_reads_in_two_ways() {
        for fields in [
            "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
            "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n",
            "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
            "Content-Length: 3, 3\r\n\r\nabc",
            "Content-Length: +3\r\n\r\nabc",
            "Content-Length : 3\r\n\r\nabc",
            "Transfer-Encoding: chunked, chunked\r\n\r\n",
            "Transfer-Encoding: gzip, chunked\r\n\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
            "X: a\r\n folded\r\n\r\n",
            "X: a\n\r\n",
            "\n",
            "Transfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n",
            "Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n",
            "Content-Length: 0\r\n\r\nGET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        ] {
            check(fields, false, false);
        }
    }

    #[test]
    fn says_how_much_may_pass() {
        let text = format!("{HEAD}Bad: x\n");
        assert_eq!(Screen::default().read(text.as_bytes()), Err(HEAD.len()));
    }
}
