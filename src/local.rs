//! What the developer's commands share: HTTP/1.1 for this machine alone, and the word to stop.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;

use crate::error::{Error, Result};

/// A listener on loopback.
pub struct Local {
    listener: TcpListener,
    origin: String,
}

impl Local {
    /// Listens on `address`; port 0 picks a free one.
    ///
    /// # Errors
    /// `Invalid` when `address` is reachable from elsewhere, or taken.
    pub async fn bind(address: SocketAddr) -> Result<Local> {
        if !address.ip().is_loopback() {
            return Err(Error::invalid(format!(
                "{address} is not on this machine alone; listen on 127.0.0.1."
            )));
        }
        let taken = |e| Error::invalid(format!("{address} cannot be listened on: {e}.")).because(e);
        let listener = TcpListener::bind(address).await.map_err(taken)?;
        let origin = format!("http://{}", listener.local_addr().map_err(taken)?);
        Ok(Local { listener, origin })
    }

    /// Such as `http://127.0.0.1:41234`, without a slash at the end.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Answers each request with `answer` until dropped; answers under way are finished all the same.
    pub async fn serve<F, A, B>(self, answer: F)
    where
        F: Fn(Request<Incoming>) -> A + Clone + Send + 'static,
        A: Future<Output = Response<B>> + Send + 'static,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        loop {
            // What fails to be accepted is tried again by the client; a full descriptor table empties by itself.
            let Ok((stream, _)) = self.listener.accept().await else {
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            let _ = stream.set_nodelay(true);
            let answer = answer.clone();
            let service = service_fn(move |request| {
                let answered = answer(request);
                async move { Ok::<_, Infallible>(answered.await) }
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), service);
            tokio::spawn(connection);
        }
    }
}

/// Whether `host`, with or without a port, is this machine. A page whose name was made to lead here names another (MCP,
/// "Streamable HTTP", security warning).
pub fn is_here(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    name == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// Until this process is told to stop.
pub async fn stopped() {
    #[cfg(unix)]
    if let Ok(mut terminate) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
        return;
    }
    let _ = tokio::signal::ctrl_c().await;
}
