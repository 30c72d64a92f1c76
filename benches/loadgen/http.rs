//! As much HTTP/1.1 client as a measurement needs: one request as bytes, answers with `Content-Length`, keep-alive.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use clap::Args;

use crate::Result;

/// A server under valgrind may be this slow; a longer silence is a stall.
const SILENCE: Duration = Duration::from_secs(60);

/// Where to send to, and the headers of every request.
#[derive(Args)]
pub struct Target {
    /// The MCP URL, on a loopback address: http://127.0.0.1:PORT/PATH
    #[arg(long)]
    url: String,
    /// A header of every request, `Name: value`; may be repeated.
    #[arg(short = 'H', long = "header")]
    headers: Vec<String>,
}

impl Target {
    /// A POST of `body` as bytes, with `extra` headers behind the common ones.
    pub fn post(&self, body: &str, extra: &[String]) -> Result<Vec<u8>> {
        let (host, path) = self.host_and_path()?;
        let mut request = format!("POST {path} HTTP/1.1\r\nHost: {host}\r\n");
        for header in self.headers.iter().chain(extra) {
            request.push_str(header);
            request.push_str("\r\n");
        }
        request.push_str("Content-Type: application/json\r\n");
        request.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
        Ok(request.into_bytes())
    }

    pub fn connect(&self) -> Result<Client> {
        let address: SocketAddr = self.host_and_path()?.0.parse()?;
        if !address.ip().is_loopback() {
            return Err(format!("{address} is not this machine; only loopback addresses are measured").into());
        }
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(SILENCE))?;
        Ok(Client { stream, buffer: vec![0; 64 * 1024] })
    }

    fn host_and_path(&self) -> Result<(&str, String)> {
        let rest = self.url.strip_prefix("http://").ok_or("the URL must begin with http://")?;
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        Ok((host, format!("/{path}")))
    }
}

/// One connection.
pub struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// An answer, in the connection's buffer.
pub struct Answer<'a> {
    pub status: u16,
    /// Status line and header lines.
    pub head: &'a str,
    pub body: &'a [u8],
}

impl Client {
    /// Sends the request and reads its whole answer.
    pub fn exchange(&mut self, request: &[u8]) -> Result<Answer<'_>> {
        self.stream.write_all(request)?;
        let mut filled = 0;
        let head_end = loop {
            filled = self.read(filled)?;
            if let Some(end) = find(&self.buffer[..filled], b"\r\n\r\n") {
                break end;
            }
        };
        let head = std::str::from_utf8(&self.buffer[..head_end])?;
        let (status, length) = (status(head)?, content_length(head)?);
        let body = head_end + 4..head_end + 4 + length;
        while filled < body.end {
            filled = self.read(filled)?;
        }
        if filled > body.end {
            return Err("more bytes came than the answer has".into());
        }
        let head = std::str::from_utf8(&self.buffer[..head_end])?;
        Ok(Answer { status, head, body: &self.buffer[body] })
    }

    fn read(&mut self, filled: usize) -> Result<usize> {
        if filled == self.buffer.len() {
            self.buffer.resize(2 * filled, 0);
        }
        match self.stream.read(&mut self.buffer[filled..])? {
            0 => Err("the server closed the connection in the middle of an answer".into()),
            read => Ok(filled + read),
        }
    }
}

impl Answer<'_> {
    /// The answer itself when its status is `expected`; otherwise an error that shows it.
    pub fn expect_status(self, expected: u16) -> Result<Self> {
        if self.status == expected {
            return Ok(self);
        }
        Err(format!("status {expected} expected, this came:\n{self}").into())
    }

    /// The value of a header, whatever the case of its name.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(self.head, name)
    }
}

impl std::fmt::Display for Answer<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}\n\n{}", self.head, String::from_utf8_lossy(self.body))
    }
}

pub fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

fn status(head: &str) -> Result<u16> {
    Ok(head.split(' ').nth(1).ok_or("no status line")?.parse()?)
}

fn content_length(head: &str) -> Result<usize> {
    let value = header(head, "content-length");
    Ok(value
        .ok_or_else(|| format!("a plain answer with Content-Length is measured; this came:\n{head}"))?
        .parse()?)
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let lines = head.split("\r\n").skip(1).filter_map(|line| line.split_once(':'));
    lines.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).next()
}
