//! Outbound HTTP/1.1, on hyper and rustls: for the stdio bridge, the recorder and what the authorization server fetches.
//!
//! No redirect is ever followed and no cookie kept. Connections are used again while they are fresh.

mod body;
mod connect;
mod guard;
mod pool;
mod tls;

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{HOST, HeaderValue};
use hyper::{Request, Response, Uri};
use rustls::pki_types::CertificateDer;
use tokio_rustls::TlsConnector;

pub use self::body::Body;
use self::connect::Origin;
pub use self::guard::is_public;
use self::pool::{Connection, Pool};
use crate::error::{Error, Kind, Result};

/// How a [`Client`] calls.
#[derive(Clone, Debug)]
pub struct Options {
    /// One more file of certificate authorities (PEM), beside the machine's own store.
    pub ca_file: Option<PathBuf>,
    /// Call only named hosts all of whose addresses are globally routable: for URLs that strangers choose.
    pub public_only: bool,
    /// The longest for name, TCP and TLS together; 10 s.
    pub connect: Duration,
    /// The longest from the request to the head of its answer; 65 s, for MCP clients give up at 60 s.
    pub head: Duration,
}

impl Default for Options {
    fn default() -> Options {
        let (connect, head) = (Duration::from_secs(10), Duration::from_secs(65));
        Options { ca_file: None, public_only: false, connect, head }
    }
}

/// An HTTP client. A clone shares its connections.
#[derive(Clone)]
pub struct Client {
    options: Arc<Options>,
    authorities: Arc<Vec<CertificateDer<'static>>>,
    tls: Arc<OnceLock<TlsConnector>>,
    pool: Pool,
}

type Outgoing = Request<Full<Bytes>>;

/// How one request on one connection ended.
enum Attempt {
    Answered(Response<Body>),
    /// The connection was closed before anything was sent: here is the request again.
    Unsent(Outgoing),
    Failed(Error),
}

impl Client {
    /// A client. The CA file is read now; the machine's own store at the first `https` request.
    ///
    /// # Errors
    /// `Config` when the CA file cannot be read.
    pub fn new(options: Options) -> Result<Client> {
        let authorities =
            options.ca_file.as_deref().map(tls::read_authorities).transpose()?.unwrap_or_default();
        Ok(Client {
            options: Arc::new(options),
            authorities: Arc::new(authorities),
            tls: Arc::default(),
            pool: Pool::default(),
        })
    }

    /// Sends `request`, whose URI is absolute, and gives the answer as soon as its head is there, whatever its status.
    /// `Host` is set unless the request has it. A connection that turns out to be closed is replaced once, when
    /// nothing was sent on it or the method is idempotent (RFC 9110, 9.2.2).
    ///
    /// # Errors
    /// `Invalid` for a URI that is no `http` or `https` URL; `Forbidden` for an address that `public_only` refuses;
    /// `Unavailable` when the server cannot be reached, breaks off or does not answer in time.
    pub async fn send(&self, request: Request<Bytes>) -> Result<Response<Body>> {
        let origin = Origin::of(request.uri())?;
        let mut request = outgoing(request)?;
        if let Some(connection) = self.pool.take(&origin).await {
            let again = request.method().is_idempotent().then(|| request.clone());
            request = match (self.attempt(&origin, connection, request).await, again) {
                (Attempt::Answered(answer), _) => return Ok(answer),
                (Attempt::Unsent(request), _) => request,
                (Attempt::Failed(error), Some(again)) if is_stale(&error) => again,
                (Attempt::Failed(error), _) => return Err(error),
            };
        }
        let connection = self.connect(&origin).await?;
        match self.attempt(&origin, connection, request).await {
            Attempt::Answered(answer) => Ok(answer),
            Attempt::Unsent(_) => Err(origin.unreachable("it closes every connection")),
            Attempt::Failed(error) => Err(error),
        }
    }

    /// Whether the server of `uri` can be reached: connects, with TLS where that is wanted, and says nothing.
    ///
    /// # Errors
    /// Those of [`Client::send`].
    pub async fn reach(&self, uri: &Uri) -> Result<()> {
        self.connect(&Origin::of(uri)?).await.map(drop)
    }

    async fn connect(&self, origin: &Origin) -> Result<Connection> {
        let tls = if origin.https { Some(self.tls()?) } else { None };
        origin.connect(tls, self.options.connect, self.options.public_only).await
    }

    fn tls(&self) -> Result<TlsConnector> {
        if let Some(ready) = self.tls.get() {
            return Ok(ready.clone());
        }
        let made = tls::connector(&self.authorities)?;
        Ok(self.tls.get_or_init(|| made).clone())
    }

    async fn attempt(&self, origin: &Origin, mut connection: Connection, request: Outgoing) -> Attempt {
        let head = self.options.head;
        match tokio::time::timeout(head, connection.try_send_request(request)).await {
            Ok(Ok(answer)) => {
                let lease = self.pool.lease(origin.clone(), connection);
                Attempt::Answered(answer.map(|incoming| Body::new(incoming, lease, head)))
            }
            Ok(Err(mut error)) => match error.take_message() {
                Some(request) => Attempt::Unsent(request),
                None => Attempt::Failed(broken_off(origin, error.into_error())),
            },
            Err(_) => {
                let public = format!("{origin} did not answer within {} s.", head.as_secs_f32());
                Attempt::Failed(Error::new(Kind::Unavailable, public))
            }
        }
    }
}

/// The request as it goes over the wire: target in origin form, `Host` set.
fn outgoing(request: Request<Bytes>) -> Result<Outgoing> {
    let (mut parts, body) = request.into_parts();
    if !parts.headers.contains_key(HOST) {
        let authority = parts.uri.authority().map_or("", |authority| authority.as_str());
        parts.headers.insert(HOST, HeaderValue::from_str(authority).map_err(Error::internal)?);
    }
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    parts.uri = target.parse::<Uri>().map_err(Error::internal)?;
    Ok(Request::from_parts(parts, Full::new(body)))
}

fn broken_off(origin: &Origin, error: hyper::Error) -> Error {
    origin.unreachable("it broke off before it answered").because(error)
}

/// Whether the connection broke, as against a server that was too slow.
fn is_stale(error: &Error) -> bool {
    error.cause.as_ref().is_some_and(|cause| cause.is::<hyper::Error>())
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
