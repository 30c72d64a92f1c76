//! From an origin to an open HTTP/1.1 connection: resolve once, judge every address, dial, TLS, handshake.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hyper::Uri;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::guard::is_public;
use super::pool::Connection;
use crate::error::{Error, Kind, Result};

/// The largest head of an answer, in bytes; hyper may take up to twice that in one read.
const MAX_HEAD: usize = 64 * 1024;

/// Scheme, host and port: what connections are kept by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) https: bool,
    /// Lower case, an IPv6 address without its brackets.
    pub(super) host: String,
    pub(super) port: u16,
}

impl Origin {
    /// The origin of an absolute `http` or `https` URL without user or password.
    pub(super) fn of(uri: &Uri) -> Result<Origin> {
        let https = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(wrong_url(uri, "it must begin with https:// or http://")),
        };
        let authority = uri.authority().ok_or_else(|| wrong_url(uri, "it names no host"))?;
        if authority.as_str().contains('@') {
            return Err(Error::invalid("A URL to call must not hold a user name or password."));
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        if host.is_empty() {
            return Err(wrong_url(uri, "it names no host"));
        }
        let port = authority.port_u16().unwrap_or(if https { 443 } else { 80 });
        Ok(Origin { https, host, port })
    }

    /// A connection to this origin, ready for a request. Through `public_only`, no address is dialled unless every
    /// address of the host is globally routable, and a host that is written as an address is refused.
    pub(super) async fn connect(
        &self,
        tls: Option<TlsConnector>,
        deadline: Duration,
        public_only: bool,
    ) -> Result<Connection> {
        tokio::time::timeout(deadline, self.open(tls, deadline, public_only)).await.unwrap_or_else(|_| {
            Err(self.unreachable(&format!("no connection within {} s", deadline.as_secs_f32())))
        })
    }

    async fn open(
        &self,
        tls: Option<TlsConnector>,
        deadline: Duration,
        public_only: bool,
    ) -> Result<Connection> {
        let addresses = self.resolve().await?;
        if public_only {
            self.guard(&addresses)?;
        }
        let stream = self.dial(&addresses, deadline).await?;
        match tls {
            Some(tls) => self.handshake(self.encrypt(tls, stream).await?).await,
            None => self.handshake(stream).await,
        }
    }

    async fn resolve(&self) -> Result<Vec<SocketAddr>> {
        let found = tokio::net::lookup_host((self.host.as_str(), self.port)).await;
        let addresses: Vec<_> =
            found.map_err(|e| self.unreachable("its name has no address").because(e))?.collect();
        match addresses.is_empty() {
            true => Err(self.unreachable("its name has no address")),
            false => Ok(addresses),
        }
    }

    fn guard(&self, addresses: &[SocketAddr]) -> Result<()> {
        let literal = self.host.parse::<IpAddr>().is_ok();
        if !literal && addresses.iter().all(|address| is_public(address.ip())) {
            return Ok(());
        }
        let public = format!("{self} is not called: only named hosts on the public internet are.");
        Err(Error::new(Kind::Forbidden, public).because(format!("its addresses are {addresses:?}")))
    }

    /// The first address that answers; each gets its share of the deadline, so that a dead one leaves time for the rest.
    async fn dial(&self, addresses: &[SocketAddr], deadline: Duration) -> Result<TcpStream> {
        let share = deadline / u32::try_from(addresses.len()).unwrap_or(u32::MAX).max(1);
        let mut last = self.unreachable("its addresses do not answer");
        for address in addresses {
            match tokio::time::timeout(share, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    stream.set_nodelay(true).map_err(|e| self.unreachable(&e.to_string()))?;
                    return Ok(stream);
                }
                Ok(Err(error)) => last = self.unreachable(&plain(&error)).because(error),
                Err(_) => {}
            }
        }
        Err(last)
    }

    async fn encrypt(&self, tls: TlsConnector, stream: TcpStream) -> Result<impl Io + use<>> {
        let name = ServerName::try_from(self.host.clone())
            .map_err(|e| Error::invalid(format!("{self} has no name that TLS can check.")).because(e))?;
        tls.connect(name, stream).await.map_err(|e| self.unreachable(&format!("TLS failed: {e}")).because(e))
    }

    async fn handshake(&self, stream: impl Io) -> Result<Connection> {
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(MAX_HEAD)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|e| self.unreachable("it does not speak HTTP/1.1").because(e))?;
        // What goes wrong on it is told to whoever has the sender or a body.
        tokio::spawn(connection);
        Ok(sender)
    }

    /// The error of an origin that cannot be reached, with the reason in words.
    pub(super) fn unreachable(&self, why: &str) -> Error {
        Error::new(Kind::Unavailable, format!("{self} cannot be reached: {why}."))
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scheme = if self.https { "https" } else { "http" };
        match self.host.contains(':') {
            true => write!(f, "{scheme}://[{}]:{}", self.host, self.port),
            false => write!(f, "{scheme}://{}:{}", self.host, self.port),
        }
    }
}

trait Io: AsyncRead + AsyncWrite + Unpin + Send + 'static {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send + 'static> Io for T {}

/// The system's words without its error number.
fn plain(error: &std::io::Error) -> String {
    let text = error.to_string().to_lowercase();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

fn wrong_url(uri: &Uri, why: &str) -> Error {
    Error::invalid(format!("{uri} cannot be called: {why}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let check = |uri: &str, expected: Option<&str>| {
            let origin = Origin::of(&uri.parse().unwrap()).ok();
            assert_eq!(origin.map(|o| o.to_string()).as_deref(), expected, "{uri}");
        };
        check("https://Example.com/mcp/", Some("https://example.com:443"));
        check("http://127.0.0.1:8080/mcp", Some("http://127.0.0.1:8080"));
        check("http://[::1]:8080/mcp", Some("http://[::1]:8080"));
        check("http://[::1]/", Some("http://[::1]:80"));
        check("ftp://example.com/", None);
        check("/mcp", None);
        check("https://user:secret@example.com/", None);
    }
}
