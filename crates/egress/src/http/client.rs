//! Requests to one place, over connections that are kept.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::ClientConfig;
use tokio::time::Instant;

use super::address::Address;
use super::answer::{Answer, Reader};
use super::connection::{Connection, Failed};
use super::dial::Dialler;
use crate::client::{ClientSettings, IDLE_TIMEOUT};

/// Why a request got no answer, in words without a URL or content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Nothing left the box.
    NotSent(String),
    /// Something did, and what became of it can't be known.
    Unknown(String),
}

/// POSTs to one URL. Follows no redirect, heeds no proxy, and retries nothing that may have been
/// sent.
#[derive(Debug)]
pub(crate) struct Client {
    dialler: Dialler,
    connect_timeout: Duration,
    request_timeout: Duration,
    idle_connections: usize,
    /// The one that was used last stands last.
    idle: Mutex<Vec<(Connection, Instant)>>,
}

impl Client {
    pub(crate) fn new(address: Address, tls: Arc<ClientConfig>, settings: &ClientSettings) -> Self {
        Self {
            dialler: Dialler::new(address, tls),
            connect_timeout: settings.connect_timeout,
            request_timeout: settings.request_timeout,
            idle_connections: settings.idle_connections,
            idle: Mutex::new(Vec::with_capacity(settings.idle_connections)),
        }
    }

    /// What the head of a request begins with.
    pub(crate) fn head_start(&self) -> &[u8] {
        self.dialler.address().start()
    }

    /// Sends a request (`head` ends with its empty line) and reads the answer.
    pub(crate) async fn send(&self, head: &[u8], body: &[u8]) -> Result<Answer, Trouble> {
        let start = Instant::now();
        let deadline = start + self.request_timeout;
        loop {
            let mut connection = match self.reuse(start) {
                Some(connection) => connection,
                None => {
                    let dialled = self.dialler.dial(deadline.min(start + self.connect_timeout)).await;
                    Connection::new(dialled.map_err(Trouble::NotSent)?, deadline)
                }
            };
            match connection.exchange(head, body, Reader::new(), deadline).await {
                Ok((answer, keeps)) => {
                    if keeps {
                        self.keep(connection);
                    }
                    return Ok(answer);
                }
                Err(Failed::Stale) => {}
                Err(Failed::Trouble(trouble)) => return Err(trouble),
            }
        }
    }

    /// Forgets the connections that are kept, and the system's DNS settings: whoever comes back after a while
    /// finds the place as it is then.
    pub(crate) fn reset(&self) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.dialler.forget();
    }

    /// Closes what has been idle for too long; returns when to look again.
    pub(crate) fn tidy(&self, now: Instant) -> Option<Instant> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let old = idle.iter().take_while(|(_, since)| now.duration_since(*since) >= IDLE_TIMEOUT).count();
        idle.drain(..old);
        idle.first().map(|(_, since)| *since + IDLE_TIMEOUT)
    }

    fn reuse(&self, now: Instant) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let (connection, since) = idle.pop()?;
        if now.duration_since(since) < IDLE_TIMEOUT {
            return Some(connection);
        }
        // The others have been idle for longer.
        idle.clear();
        None
    }

    fn keep(&self, connection: Connection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < self.idle_connections {
            idle.push((connection, Instant::now()));
        }
    }
}
