//! Who is connected, and who has to go when there are too many.

use std::collections::{HashMap, VecDeque};
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
    /// Somebody in its neighbourhood has proved itself before.
    known: bool,
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

    /// Whether somebody in the peer's neighbourhood has shown one.
    pub(crate) fn known(&self) -> bool {
        self.lock().known
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
    known: Mutex<Known>,
}

/// Neighbourhoods in which somebody has proved itself, the one that was left longest ago first.
#[derive(Debug, Default)]
struct Known {
    most: usize,
    neighbourhoods: VecDeque<Network>,
}

impl Known {
    fn remember(&mut self, neighbourhood: Network) {
        self.neighbourhoods.retain(|other| *other != neighbourhood);
        if self.neighbourhoods.len() >= self.most {
            self.neighbourhoods.pop_front();
        }
        self.neighbourhoods.push_back(neighbourhood);
    }
}

impl Connections {
    /// Room for `most` connections, and for the memory of so many `neighbourhoods`.
    pub(crate) fn new(most: usize, neighbourhoods: usize) -> Self {
        let known = Known { most: neighbourhoods.max(1), neighbourhoods: VecDeque::new() };
        Self { most, open: Mutex::default(), known: Mutex::new(known) }
    }

    /// Whether somebody in the neighbourhood of `peer` is proved, or was. Noted for the choice of who has to go, too:
    /// who sends webhooks opens connections all the time, and one that is new has proved nothing yet.
    pub(crate) fn is_known(&self, peer: &Peer) -> bool {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        self.recognise(peer, &open)
    }

    fn recognise(&self, peer: &Peer, open: &[Arc<Connection>]) -> bool {
        let neighbourhood = peer.network().neighbourhood();
        let remembered = || {
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            known.neighbourhoods.contains(&neighbourhood)
        };
        let is_known =
            open.iter().any(|other| other.proved() && other.network().neighbourhood() == neighbourhood)
                || remembered();
        peer.connection.lock().known = is_known;
        is_known
    }

    /// Lets `peer` in, if need be in the place of another, which is told to go. False when
    /// everybody else has a better claim.
    pub(crate) fn enter(&self, peer: &Peer) -> bool {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        self.recognise(peer, &open);
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
        if peer.connection.proved() {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            known.remember(peer.network().neighbourhood());
        }
    }
}

/// Chooses who makes room, of connections in the order in which they were opened.
///
/// Who has proved nothing goes first, strangers before those of a known neighbourhood, and of those the oldest of
/// the address that holds the most, in the neighbourhood that holds the most: a flood from a few addresses, or from
/// the many of one IPv6 customer, drives out itself, one from everywhere drives out strangers, and Meta, which proves itself with its first request, stays. Then who is
/// idle, the longest first. Nobody who is proved and busy goes.
fn first_to_go(open: &[(Network, State)]) -> Option<usize> {
    let unproved = |known| crowd(open, move |state| !state.proved && state.known == known);
    if let Some(oldest) = unproved(false).or_else(|| unproved(true)) {
        return Some(oldest);
    }
    let idle = open.iter().enumerate().filter(|(_, (_, state))| state.in_flight == 0);
    idle.min_by_key(|(_, (_, state))| state.since).map(|(place, _)| place)
}

/// The oldest connection of the address that holds the most, within the neighbourhood that does, of those that are
/// `meant`.
fn crowd(open: &[(Network, State)], meant: impl Fn(&State) -> bool) -> Option<usize> {
    let meant = || open.iter().enumerate().filter(|(_, (_, state))| meant(state));
    let neighbourhoods = meant().map(|(place, (network, _))| (network.neighbourhood(), place));
    let (neighbourhood, _) = largest(neighbourhoods)?;
    let within = meant().filter(|(_, (network, _))| network.neighbourhood() == neighbourhood);
    largest(within.map(|(place, (network, _))| (*network, place))).map(|(_, oldest)| oldest)
}

/// Who of `places` has the most of them, and the first of those; among equals whose first is the earliest.
fn largest(places: impl Iterator<Item = (Network, usize)>) -> Option<(Network, usize)> {
    let mut groups: HashMap<Network, (usize, usize)> = HashMap::new();
    for (network, place) in places {
        groups.entry(network).or_insert((0, place)).0 += 1;
    }
    let largest = groups.into_iter().max_by_key(|(_, (count, oldest))| (*count, usize::MAX - oldest));
    largest.map(|(network, (_, oldest))| (network, oldest))
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    use super::*;

    fn from(last: u8) -> Network {
        Network::V4(Ipv4Addr::new(203, 0, 113, last))
    }

    fn state(proved: bool, in_flight: u32, since: Option<Instant>) -> State {
        State { in_flight, proved, known: false, since }
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
        let known = State { known: true, ..stranger };
        for (open, place) in [
            (vec![(from(1), stranger), (from(2), stranger), (from(2), reading)], Some(1)),
            (vec![(from(1), stranger), (from(2), stranger)], Some(0)),
            (vec![(from(1), known), (from(1), known), (from(2), stranger)], Some(2)),
            (vec![(from(1), idle), (from(2), known), (from(1), known), (from(1), known)], Some(2)),
            (vec![(from(1), idle), (from(1), idle), (from(2), stranger)], Some(2)),
            (vec![(from(1), busy), (from(1), idle_later), (from(2), idle)], Some(2)),
            (vec![(from(1), busy), (from(1), busy)], None),
            (vec![], None),
        ] {
            assert_eq!(first_to_go(&open), place, "{open:?}");
        }
    }

    #[test]
    fn the_many_addresses_of_one_customer_drive_out_each_other() {
        let stranger = state(false, 0, None);
        // A /64 each, of one /48.
        let flood = (0..5_u128).map(|number| {
            let address = Ipv6Addr::from_bits((0x2001_0db8_0001_u128 << 80) | (number << 64) | 1);
            (Network::from(IpAddr::V6(address)), stranger)
        });
        let open: Vec<_> = [(from(1), stranger)].into_iter().chain(flood).collect();
        assert_eq!(first_to_go(&open), Some(1), "not the single stranger, though it came first");
    }

    #[tokio::test]
    async fn who_comes_through_a_relay_counts_where_it_comes_from_once_that_is_known() {
        let connections = Connections::new(3, 3);
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
        let connections = Connections::new(2, 2);
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

    #[tokio::test]
    async fn who_calls_from_where_somebody_was_proved_stays_and_what_is_remembered_is_bounded() {
        let connections = Connections::new(2, 2);
        let peer = |third: u8, last: u8| Peer::new(SocketAddr::from(([203, 0, third, last], 9)));
        let meta = peer(1, 1);
        assert!(connections.enter(&meta) && !connections.is_known(&meta));
        meta.prove();
        let neighbour = peer(1, 2);
        assert!(connections.enter(&neighbour) && connections.is_known(&neighbour), "while it is there");
        connections.leave(&meta);
        assert!(connections.enter(&peer(2, 1)));
        let flood: Vec<Peer> = (3..50).map(|third| peer(third, 1)).collect();
        assert!(flood.iter().all(|stranger| connections.enter(stranger)));
        let cut = tokio::time::timeout(Duration::from_millis(1), neighbour.connection.cut.notified()).await;
        assert!(cut.is_err(), "strangers drive out strangers");
        assert!(connections.is_known(&peer(1, 3)), "and once it has left");
        for third in [60, 61] {
            let other = peer(third, 1);
            other.prove();
            connections.leave(&other);
        }
        assert!(connections.is_known(&peer(61, 9)) && connections.is_known(&peer(60, 9)));
        connections.leave(&neighbour);
        assert!(!connections.is_known(&peer(1, 3)), "two others have proved themselves since");
    }
}
