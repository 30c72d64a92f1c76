//! The accept loop: who may connect, and how the server stops.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::futures::Notified;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::Site;
use super::connection;
use super::request::Peer;
use crate::error::{Error, Kind, Result};

/// How long nothing is accepted when the system has no descriptor or memory for a connection.
const BACK_OFF: Duration = Duration::from_millis(200);

/// An address that is listened on, and not yet served.
pub struct Listener {
    tcp: TcpListener,
    address: SocketAddr,
}

impl Listener {
    /// Listens on `address`; port 0 picks a free one.
    ///
    /// # Errors
    /// [`Kind::Config`], naming the setting, when the address is taken or is none of this machine.
    pub async fn bind(address: SocketAddr) -> Result<Listener> {
        let refused = |cause: io::Error| {
            Error::new(Kind::Config, format!("listen: {address} cannot be listened on: {cause}."))
                .because(cause)
        };
        let tcp = TcpListener::bind(address).await.map_err(refused)?;
        let address = tcp.local_addr().map_err(refused)?;
        Ok(Listener { tcp, address })
    }

    /// The address with the port that was really taken.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Tells the server to stop, and everything in it that it does.
#[derive(Default)]
pub struct Stop {
    stopping: AtomicBool,
    notify: Notify,
}

impl Stop {
    /// Takes no more connections and requests, ends the streams, and lets what runs come to its end.
    pub fn begin(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        self.notify.notify_waiters();
    }

    /// Whether the server is about to stop.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// Ready when [`Stop::begin`] is called after this; ask [`Stop::is_stopping`] too.
    pub(super) fn told(&self) -> Notified<'_> {
        self.notify.notified()
    }
}

/// Serves `listener` until `signals` is ready, then drains: streams end, requests that run have
/// [`super::Limits::drain_time`]. Ready again, `signals` ends the wait at once. After this returns nothing more is
/// answered.
pub async fn serve(listener: Listener, site: Arc<Site>, mut signals: impl AsyncFnMut()) {
    let limits = &site.options.limits;
    let all = u32::try_from(limits.connections).unwrap_or(u32::MAX);
    let room = Arc::new(Semaphore::new(all as usize));
    tokio::select! {
        () = signals() => {}
        () = accept(&listener.tcp, &site, &room) => {}
    }
    drop(listener);
    site.stop.begin();
    site.desk.stop();
    tracing::info!("stopping: no more connections are taken");
    tokio::select! {
        () = signals() => tracing::warn!("stopped at once, at the second signal"),
        drained = timeout(limits.drain_time, room.acquire_many(all)) => if drained.is_err() {
            tracing::warn!(seconds = limits.drain_time.as_secs(), "some requests did not end in time");
        }
    }
}

async fn accept(tcp: &TcpListener, site: &Arc<Site>, room: &Arc<Semaphore>) {
    let addresses = Arc::new(Addresses::default());
    loop {
        let Ok(permit) = Arc::clone(room).acquire_owned().await else { return };
        match tcp.accept().await {
            Ok((stream, address)) => admit(stream, address.ip(), site, &addresses, permit),
            Err(error) if of_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept connections; raise the limit of open files (ulimit -n)");
                tokio::time::sleep(BACK_OFF).await;
            }
        }
    }
}

fn of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

fn admit(
    stream: TcpStream,
    address: IpAddr,
    site: &Arc<Site>,
    addresses: &Arc<Addresses>,
    permit: OwnedSemaphorePermit,
) {
    let address = address.to_canonical();
    let cap = match site.options.is_trusted_proxy(address) {
        true => u32::MAX,
        false => site.options.limits.connections_per_address,
    };
    let Some(admission) = Addresses::take(addresses, address, cap) else {
        return refuse(&stream, site, address);
    };
    // Without this a small answer waits for the acknowledgement of the one before (RFC 1122 section 4.2.3.4).
    let _ = stream.set_nodelay(true);
    let site = Arc::clone(site);
    tokio::spawn(async move {
        greet(stream, Peer { address }, site).await;
        drop((admission, permit));
    });
}

async fn greet(stream: TcpStream, peer: Peer, site: Arc<Site>) {
    let Some(tls) = site.options.tls.clone() else {
        return connection::run(stream, peer, site).await;
    };
    match timeout(site.options.limits.head_time, tls.accept(stream)).await {
        Ok(Ok(stream)) => Box::pin(connection::run(stream, peer, site)).await,
        Ok(Err(error)) => tracing::debug!(%error, peer = %peer.address, "no TLS"),
        Err(_) => tracing::debug!(peer = %peer.address, "the TLS handshake took too long"),
    }
}

const CROWDED: &[u8] = b"HTTP/1.1 429 Too Many Requests\r\nConnection: close\r\nContent-Type: application/json\r\n\
Content-Length: 108\r\n\r\n{\"error\":\"too_many_connections\",\"message\":\"Too many connections from your address. \
Close some, then retry.\"}";

fn refuse(stream: &TcpStream, site: &Site, address: IpAddr) {
    tracing::warn!(%address, "too many connections from one address (limits.connections_per_address)");
    if site.options.tls.is_none() {
        let _ = stream.try_write(CROWDED);
    }
}

/// How many connections each address has open.
#[derive(Default)]
struct Addresses(Mutex<HashMap<IpAddr, u32>>);

/// A connection's place among those of its address, given back when dropped.
struct Admission {
    addresses: Arc<Addresses>,
    address: IpAddr,
}

impl Addresses {
    fn take(this: &Arc<Addresses>, address: IpAddr, cap: u32) -> Option<Admission> {
        let address = household(address);
        let mut open = this.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(address).or_default();
        if *count >= cap {
            return None;
        }
        *count += 1;
        Some(Admission { addresses: Arc::clone(this), address })
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        let mut open = self.addresses.0.lock().unwrap_or_else(PoisonError::into_inner);
        match open.get_mut(&self.address) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(open.remove(&self.address)),
        }
    }
}

/// What counts as one address: of IPv6 the /64, which is what one subscriber is given (RFC 6177).
fn household(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

/// Ready at each SIGTERM or SIGINT.
///
/// # Errors
/// [`Kind::Internal`] when the system does not let us listen for signals.
pub fn signals() -> Result<impl AsyncFnMut()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).map_err(Error::internal)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::internal)?;
    Ok(async move || {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_an_address_up_to_its_cap() {
        let addresses = Arc::new(Addresses::default());
        let take = |text: &str| Addresses::take(&addresses, text.parse().unwrap(), 2);
        let first = take("2001:db8::1").unwrap();
        let _second = take("2001:db8::ffff:2").unwrap();
        assert!(take("2001:db8::3").is_none(), "the same /64");
        assert!(take("2001:db8:0:1::3").is_some(), "another /64");
        drop(first);
        assert!(take("2001:db8::3").is_some());
        drop((take("192.0.2.1"), take("192.0.2.1")));
        assert_eq!(addresses.0.lock().unwrap().len(), 1, "an address without connections is forgotten");
    }

    #[test]
    fn the_refusal_states_its_length() {
        let text = std::str::from_utf8(CROWDED).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("Content-Length: {}", body.len())), "{}", body.len());
    }
}
