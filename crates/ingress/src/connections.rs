//! Who is connected, and who has to go when there are too many.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::network::Network;

/// The other end of a connection.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Where it calls from; where its relay says so, not the relay.
    pub address: SocketAddr,
    pub(crate) connection: Arc<Connection>,
}

impl Peer {
    /// A peer at `address` that has proved nothing yet.
    #[must_use]
    pub fn new(address: SocketAddr) -> Self {
        let network = Mutex::new(address.ip().into());
        let connection = Connection { network, state: Mutex::default(), cut: Notify::new() };
        Self { address, connection: Arc::new(connection) }
    }

    /// Notes where the peer really calls from, as its relay says: from now on budgets and the choice of who has
    /// to go count it there.
    pub(crate) fn comes_from(&mut self, source: SocketAddr) {
        self.address = source;
        *self.connection.network.lock().unwrap_or_else(PoisonError::into_inner) = source.ip().into();
    }

    /// Whose the address is, as far as budgets go.
    #[must_use]
    pub fn network(&self) -> Network {
        self.connection.network()
    }

    /// Notes that the peer has shown a secret: its connection may be idle for longer, and others
    /// have to go before it.
    pub fn prove(&self) {
        self.connection.lock().proved = true;
    }

    /// Notes that a request is being worked on until the guard is dropped.
    pub(crate) fn busy(&self) -> Busy {
        self.connection.lock().in_flight += 1;
        Busy(Arc::clone(&self.connection))
    }
}

/// A request that is being worked on.
#[derive(Debug)]
pub(crate) struct Busy(Arc<Connection>);

impl Drop for Busy {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.in_flight -= 1;
        state.since = Some(Instant::now());
    }
}

/// What is known of one connection.
#[derive(Debug)]
pub(crate) struct Connection {
    network: Mutex<Network>,
    state: Mutex<State>,
    /// Told when the connection has to make room.
    pub(crate) cut: Notify,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct State {
    in_flight: u32,
    proved: bool,
    /// Since when nothing is being worked on; `None` before the first request.
    since: Option<Instant>,
}

impl Connection {
    fn network(&self) -> Network {
        *self.network.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the peer has shown a secret.
    pub(crate) fn proved(&self) -> bool {
        self.lock().proved
    }

    /// How long nothing has been worked on at `now`, on a connection opened at `opened`; `None`
    /// while something is.
    pub(crate) fn idle_for(&self, opened: Instant, now: Instant) -> Option<Duration> {
        let state = *self.lock();
        (state.in_flight == 0).then(|| now.saturating_duration_since(state.since.unwrap_or(opened)))
    }
}

/// The connections of a listener, in the order in which they were opened.
#[derive(Debug)]
pub(crate) struct Connections {
    most: usize,
    open: Mutex<Vec<Arc<Connection>>>,
}

impl Connections {
    pub(crate) fn new(most: usize) -> Self {
        Self { most, open: Mutex::default() }
    }

    /// Lets `peer` in, if need be in the place of another, which is told to go. False when
    /// everybody else has a better claim.
    pub(crate) fn enter(&self, peer: &Peer) -> bool {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.len() >= self.most {
            let states: Vec<_> = open.iter().map(|other| (other.network(), *other.lock())).collect();
            let Some(place) = first_to_go(&states) else { return false };
            open.remove(place).cut.notify_one();
        }
        open.push(Arc::clone(&peer.connection));
        true
    }

    /// Forgets `peer`.
    pub(crate) fn leave(&self, peer: &Peer) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|other| !Arc::ptr_eq(other, &peer.connection));
    }
}

/// Chooses who makes room, of connections in the order in which they were opened.
///
/// Who has proved nothing goes first, and of those the oldest of the address that holds the most:
/// a flood from a few addresses drives out itself, and Meta, which proves itself with its first
/// request, stays. Then who is idle, the longest first. Nobody who is proved and busy goes.
fn first_to_go(open: &[(Network, State)]) -> Option<usize> {
    let mut unproved: HashMap<Network, (usize, usize)> = HashMap::new();
    for (place, (network, _)) in open.iter().enumerate().filter(|(_, (_, state))| !state.proved) {
        unproved.entry(*network).or_insert((0, place)).0 += 1;
    }
    let crowd = unproved.into_values().max_by_key(|(count, oldest)| (*count, usize::MAX - oldest));
    if let Some((_, oldest)) = crowd {
        return Some(oldest);
    }
    let idle = open.iter().enumerate().filter(|(_, (_, state))| state.in_flight == 0);
    idle.min_by_key(|(_, (_, state))| state.since).map(|(place, _)| place)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn from(last: u8) -> Network {
        Network::V4(Ipv4Addr::new(203, 0, 113, last))
    }

    fn state(proved: bool, in_flight: u32, since: Option<Instant>) -> State {
        State { in_flight, proved, since }
    }

    #[test]
    fn the_crowd_goes_before_the_single_and_the_unproved_before_the_proved() {
        let now = Instant::now();
        let later = now + Duration::from_secs(1);
        let stranger = state(false, 0, None);
        let reading = state(false, 1, None);
        let idle = state(true, 0, Some(now));
        let idle_later = state(true, 0, Some(later));
        let busy = state(true, 1, Some(now));
        for (open, place) in [
            (vec![(from(1), stranger), (from(2), stranger), (from(2), reading)], Some(1)),
            (vec![(from(1), stranger), (from(2), stranger)], Some(0)),
            (vec![(from(1), idle), (from(1), idle), (from(2), stranger)], Some(2)),
            (vec![(from(1), busy), (from(1), idle_later), (from(2), idle)], Some(2)),
            (vec![(from(1), busy), (from(1), busy)], None),
            (vec![], None),
        ] {
            assert_eq!(first_to_go(&open), place, "{open:?}");
        }
    }

    #[tokio::test]
    async fn who_comes_through_a_relay_counts_where_it_comes_from_once_that_is_known() {
        let connections = Connections::new(3);
        let relay = SocketAddr::from(([10, 8, 0, 1], 9));
        let mut peers: Vec<Peer> = (0..4).map(|_| Peer::new(relay)).collect();
        assert!(peers[..3].iter().all(|peer| connections.enter(peer)));
        peers[0].comes_from(SocketAddr::from(([203, 0, 113, 9], 9)));
        assert_eq!((peers[0].network(), peers[0].address.port()), (from(9), 9));
        assert!(connections.enter(&peers[3]), "in the place of one that has said nothing yet");
        peers[1].connection.cut.notified().await;
    }

    #[tokio::test]
    async fn who_has_to_go_is_told_and_the_number_is_kept() {
        let connections = Connections::new(2);
        let peers: Vec<Peer> =
            (1..=4).map(|last| Peer::new(SocketAddr::from(([203, 0, 113, last], 9)))).collect();
        assert!(connections.enter(&peers[0]));
        assert!(connections.enter(&peers[1]));
        peers[0].prove();
        assert!(connections.enter(&peers[2]), "in the place of the unproved one");
        peers[1].connection.cut.notified().await;
        peers[2].prove();
        let _busy = (peers[0].busy(), peers[2].busy());
        assert!(!connections.enter(&peers[3]), "the others are at work");
        connections.leave(&peers[0]);
        assert!(connections.enter(&peers[3]));
    }
}
