//! Where the browser is sent back to: a port of this machine that takes whatever comes, so that a code that arrives at
//! a place it should never have been sent to is seen.

use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use crate::error::{Error, Result};

/// Bytes of the head of a request.
const MAX_HEAD: usize = 32 * 1024;
/// The longest for a browser to send one.
const PATIENCE: Duration = Duration::from_secs(10);
/// Requests that nobody has looked at yet; more are dropped.
const MAX_WAITING: usize = 256;
/// The first byte of a TLS connection (RFC 8446, 5.1).
const TLS_HANDSHAKE: u8 = 22;
const PAGE: &str = "<!doctype html><title>Chaterimo conformance</title>\
                    <p>This is noted. You can close this page and go back to the terminal.";

/// A request that came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Returned {
    /// It spoke TLS, which is not spoken here: all that is known of it.
    pub tls: bool,
    /// What it named as `Host`.
    pub host: String,
    /// Its path.
    pub path: String,
    /// Its query, decoded.
    pub pairs: Vec<(String, String)>,
}

impl Returned {
    /// The first value of `name`.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// How often `name` stands there.
    pub fn count(&self, name: &str) -> usize {
        self.pairs.iter().filter(|(found, _)| found == name).count()
    }
}

/// A port that listens until it is dropped.
pub struct Listener {
    port: u16,
    arrived: mpsc::Receiver<Returned>,
    task: AbortHandle,
}

impl Listener {
    /// Listens on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// `Unavailable` when there is none.
    pub async fn bind() -> Result<Listener> {
        let failed = |e: std::io::Error| {
            Error::new(crate::error::Kind::Unavailable, "No port of 127.0.0.1 can be listened on.").because(e)
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(failed)?;
        let port = listener.local_addr().map_err(failed)?.port();
        let (sender, arrived) = mpsc::channel(MAX_WAITING);
        let task = tokio::spawn(accept(listener, sender)).abort_handle();
        Ok(Listener { port, arrived, task })
    }

    /// The redirect URI that leads here, with this path.
    pub fn redirect_uri(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The next request that carries an answer to an app, whatever its path, or speaks TLS; others, such as for an icon,
    /// are passed over.
    pub async fn returned(&mut self) -> Option<Returned> {
        while let Some(returned) = self.arrived.recv().await {
            if returned.tls || ["code", "error", "state"].iter().any(|name| returned.get(name).is_some()) {
                return Some(returned);
            }
        }
        None
    }

    /// Forgets what came so far.
    pub fn forget(&mut self) {
        while self.arrived.try_recv().is_ok() {}
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, sender: mpsc::Sender<Returned>) {
    loop {
        // What fails to be accepted is tried again by the browser.
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let sender = sender.clone();
        tokio::spawn(async move {
            let _ = tokio::time::timeout(PATIENCE, answer(stream, &sender)).await;
        });
    }
}

/// Takes one request. It is passed on before it is answered: a browser that has the answer may end its visit, and then
/// what it brought must be known.
async fn answer(mut stream: TcpStream, sender: &mpsc::Sender<Returned>) -> Option<()> {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let mut bytes = [0; 4096];
        let count = stream.read(&mut bytes).await.ok().filter(|count| *count > 0 && head.len() < MAX_HEAD)?;
        head.extend_from_slice(&bytes[..count]);
        if head.first() == Some(&TLS_HANDSHAKE) {
            return sender.try_send(Returned { tls: true, ..Returned::default() }).ok();
        }
    }
    let _ = sender.try_send(read(std::str::from_utf8(&head).ok()?)?);
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\nCache-Control: no-store\r\n\
         Referrer-Policy: no-referrer\r\nConnection: close\r\n\r\n{PAGE}",
        PAGE.len()
    );
    stream.write_all(answer.as_bytes()).await.ok()
}

/// The request whose head this is.
fn read(head: &str) -> Option<Returned> {
    let mut lines = head.split("\r\n");
    let target = lines.next()?.split(' ').nth(1)?;
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let host = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("host").then(|| value.trim().to_owned())
    });
    Some(Returned {
        tls: false,
        host: host.unwrap_or_default(),
        path: path.to_owned(),
        pairs: form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read() {
        let check = |head: &str, path: &str, host: &str, code: Option<&str>| {
            let returned = read(head).unwrap();
            assert_eq!((&*returned.path, &*returned.host, returned.get("code")), (path, host, code));
        };
        check(
            "GET /callback?code=a%20b&state=x HTTP/1.1\r\nhOST: a:1\r\n\r\n",
            "/callback",
            "a:1",
            Some("a b"),
        );
        check("GET / HTTP/1.1\r\n\r\n", "/", "", None);
        assert!(read("GET\r\n\r\n").is_none());
    }

    #[tokio::test]
    async fn it_takes_what_comes_and_waits_for_an_answer() {
        let mut listener = Listener::bind().await.unwrap();
        let send = async |bytes: &[u8]| {
            let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, listener.port)).await.unwrap();
            stream.write_all(bytes).await.unwrap();
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await.map(|_| answer)
        };
        send(b"GET /favicon.ico HTTP/1.1\r\n\r\n").await.unwrap();
        let answer = send(b"GET /other?state=s&code=c HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n") && answer.ends_with(PAGE.as_bytes()));
        let _ = send(&[TLS_HANDSHAKE, 3, 1]).await;
        let returned = listener.returned().await.unwrap();
        assert_eq!((&*returned.path, returned.get("code"), returned.count("code")), ("/other", Some("c"), 1));
        assert!(listener.returned().await.unwrap().tls);
    }
}
