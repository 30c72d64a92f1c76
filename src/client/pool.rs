//! Idle connections, kept to be used again: one short list for all origins.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::SendRequest;

use super::connect::Origin;
use crate::clock;

/// One open connection.
pub(super) type Connection = SendRequest<Full<Bytes>>;

/// The most connections kept idle; the one idle for longest goes first.
const MAX_IDLE: usize = 32;
/// An idle connection older than this is not used again: servers and the boxes between close them about then.
const MAX_AGE: Duration = Duration::from_secs(30);

#[derive(Clone, Default)]
pub(super) struct Pool(Arc<Mutex<Vec<Idle>>>);

struct Idle {
    origin: Origin,
    connection: Connection,
    since: Instant,
}

impl Pool {
    /// An idle connection to `origin` that is still open as far as this side knows.
    pub(super) async fn take(&self, origin: &Origin) -> Option<Connection> {
        while let Some(mut connection) = self.take_any(origin) {
            if connection.ready().await.is_ok() {
                return Some(connection);
            }
        }
        None
    }

    /// `connection`, in use until the lease gives it back.
    pub(super) fn lease(&self, origin: Origin, connection: Connection) -> Lease {
        Lease { pool: self.clone(), origin, connection }
    }

    fn take_any(&self, origin: &Origin) -> Option<Connection> {
        let mut idle = self.idle();
        idle.retain(Idle::is_fresh);
        let newest = idle.iter().rposition(|entry| entry.origin == *origin)?;
        Some(idle.remove(newest).connection)
    }

    fn put(&self, origin: Origin, connection: Connection) {
        let mut idle = self.idle();
        idle.retain(Idle::is_fresh);
        if idle.len() >= MAX_IDLE {
            idle.remove(0);
        }
        idle.push(Idle { origin, connection, since: clock::instant() });
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Idle {
    fn is_fresh(&self) -> bool {
        !self.connection.is_closed() && clock::since(self.since) < MAX_AGE
    }
}

/// A connection that an answer is still read from. Dropping it closes the connection.
pub(super) struct Lease {
    pool: Pool,
    origin: Origin,
    connection: Connection,
}

impl Lease {
    /// Back into the pool: the answer is read to its end.
    pub(super) fn give_back(self) {
        self.pool.put(self.origin, self.connection);
    }
}
