//! Small servers on loopback for the tests of whatever calls out.

use std::convert::Infallible;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body, Frame};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

/// The body of a test's answer.
pub type TestBody = UnsyncBoxBody<Bytes, Infallible>;

/// Answers every request of every connection with `handler`, as long as the runtime lives; the origin to call, without
/// a slash at its end.
pub async fn serve<F, A>(handler: F) -> String
where
    F: Fn(Request<Bytes>) -> A + Send + Sync + 'static,
    A: Future<Output = Response<TestBody>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let handler = Arc::new(handler);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream, handler.clone()));
        }
    });
    origin
}

/// The same over TLS, with the certificate of `tests/tls` for `localhost`.
pub async fn serve_tls<F, A>(handler: F) -> String
where
    F: Fn(Request<Bytes>) -> A + Send + Sync + 'static,
    A: Future<Output = Response<TestBody>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let (acceptor, handler) = (acceptor(), Arc::new(handler));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, handler) = (acceptor.clone(), handler.clone());
            tokio::spawn(async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    answer(stream, handler).await;
                }
            });
        }
    });
    origin
}

/// A TLS server's side with the certificate of `tests/tls`.
pub fn acceptor() -> TlsAcceptor {
    let file = |name: &str| std::fs::read(Path::new("tests/tls").join(name)).unwrap();
    let pem = file("localhost.pem");
    let chain = CertificateDer::pem_slice_iter(&pem).map(|certificate| certificate.unwrap()).collect();
    let key = PrivateKeyDer::from_pem_slice(&file("localhost.key")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// Answers the requests of one connection; one that breaks ends.
async fn answer<F, A>(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, handler: Arc<F>)
where
    F: Fn(Request<Bytes>) -> A + Send + Sync + 'static,
    A: Future<Output = Response<TestBody>> + Send + 'static,
{
    let service = service_fn(move |request: Request<hyper::body::Incoming>| {
        let handler = handler.clone();
        async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            Ok::<_, Infallible>(handler(Request::from_parts(parts, body)).await)
        }
    });
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

/// An answer with a whole body.
pub fn whole(status: u16, content_type: &str, body: impl Into<Bytes>) -> Response<TestBody> {
    let body = Full::new(body.into()).boxed_unsync();
    Response::builder().status(status).header("content-type", content_type).body(body).unwrap()
}

/// An answer whose body comes in pieces, as they are sent; dropping the sender ends it. The sender learns by `closed`
/// that the client has gone.
pub fn streamed(content_type: &str) -> (mpsc::UnboundedSender<String>, Response<TestBody>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let body = Pieces(receiver).boxed_unsync();
    (sender, Response::builder().header("content-type", content_type).body(body).unwrap())
}

struct Pieces(mpsc::UnboundedReceiver<String>);

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|piece| piece.map(|text| Ok(Frame::data(text.into()))))
    }
}
