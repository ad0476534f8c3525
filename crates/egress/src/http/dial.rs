//! New connections: name, address, TCP, TLS.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;

use super::address::{Address, Host};
use super::names::Names;
use super::stream::Stream;

/// An address that hasn't answered by then gets company by the next one (RFC 8305, section 5).
const NEXT_ADDRESS_AFTER: Duration = Duration::from_millis(250);
/// Addresses of a name that are tried.
const ADDRESSES_MAX: usize = 16;

/// Makes connections to one place.
#[derive(Debug)]
pub(super) struct Dialler {
    address: Address,
    tls: Arc<ClientConfig>,
    names: Names,
}

impl Dialler {
    pub(super) fn new(address: Address, tls: Arc<ClientConfig>) -> Self {
        Self { address, tls, names: Names::of_the_system() }
    }

    pub(super) const fn address(&self) -> &Address {
        &self.address
    }

    /// Reads the system's DNS settings anew before the next connection.
    pub(super) fn forget(&self) {
        self.names.forget();
    }

    /// A new connection by `deadline`, TLS included; else why there is none, in words.
    pub(super) async fn dial(&self, deadline: Instant) -> Result<Stream, String> {
        let connected = timeout_at(deadline, self.connect()).await;
        let connected = connected.unwrap_or_else(|_| Err("no connection in time".to_owned()));
        if connected.is_err() {
            self.names.forget();
        }
        connected
    }

    async fn connect(&self) -> Result<Stream, String> {
        let addresses = match &self.address.host {
            Host::Ip(address) => vec![*address],
            Host::Name(name) => self.names.look_up(name).await?,
        };
        let addresses = by_turns(&addresses).map(|address| SocketAddr::new(address, self.address.port));
        let stream = race(addresses).await.map_err(|error| format!("no connection: {error}"))?;
        // A request is written in one go and waits for its answer: there's nothing to collect.
        stream.set_nodelay(true).map_err(|error| format!("no connection: {error}"))?;
        let Some(name) = &self.address.tls else { return Ok(Stream::Plain(stream)) };
        let connector = TlsConnector::from(Arc::clone(&self.tls));
        let stream = connector.connect(name.clone(), stream).await;
        stream.map(|stream| Stream::Tls(Box::new(stream))).map_err(|error| format!("no TLS: {error}"))
    }
}

/// The two families of addresses by turns, beginning with the first.
fn by_turns(addresses: &[IpAddr]) -> impl Iterator<Item = IpAddr> + '_ {
    let first_is_new = addresses.first().is_some_and(IpAddr::is_ipv6);
    let mut one = addresses.iter().copied().filter(move |address| address.is_ipv6() == first_is_new);
    let mut other = addresses.iter().copied().filter(move |address| address.is_ipv6() != first_is_new);
    let mut turn = false;
    let next = move || {
        turn = !turn;
        if turn { one.next().or_else(|| other.next()) } else { other.next().or_else(|| one.next()) }
    };
    std::iter::from_fn(next).take(ADDRESSES_MAX)
}

/// The first connection that comes about; the next address is tried as soon as one fails, or keeps
/// us waiting.
async fn race(mut addresses: impl Iterator<Item = SocketAddr>) -> io::Result<TcpStream> {
    let mut attempts = FuturesUnordered::new();
    let mut failure = io::Error::from(io::ErrorKind::AddrNotAvailable);
    loop {
        let more = addresses.next().map(|next| attempts.push(TcpStream::connect(next))).is_some();
        let patience = if more { NEXT_ADDRESS_AFTER } else { Duration::MAX };
        match timeout(patience, attempts.next()).await {
            Ok(Some(Ok(stream))) => return Ok(stream),
            Ok(Some(Err(error))) => failure = error,
            Ok(None) => return Err(failure),
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use tokio::net::TcpListener;

    use super::super::names;
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn after_a_failure_names_are_looked_for_with_new_settings_even_if_nobody_answered() {
        let (names, made) = names::tests::silent();
        let address = Address::new(&"http://crm.store.lan/in".parse().unwrap(), "").unwrap();
        let tls = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
        let tls = tls.with_safe_default_protocol_versions().unwrap();
        let tls = tls.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth();
        let dialler = Dialler { address, tls: Arc::new(tls), names };
        for tries in 1..=3 {
            let error = dialler.dial(Instant::now() + Duration::from_secs(5)).await.unwrap_err();
            assert_eq!((error.as_str(), made.load(Ordering::Relaxed)), ("no connection in time", tries));
        }
    }

    #[test]
    fn families_take_turns() {
        let addresses: Vec<IpAddr> =
            ["::1", "::2", "::3", "10.0.0.1"].iter().map(|text| text.parse().unwrap()).collect();
        let order: Vec<_> = by_turns(&addresses).map(|address| address.to_string()).collect();
        assert_eq!(order, ["::1", "10.0.0.1", "::2", "::3"]);
        assert_eq!(by_turns(&vec![IpAddr::from([10, 0, 0, 1]); 99]).count(), ADDRESSES_MAX);
        assert_eq!(by_turns(&[]).count(), 0);
    }

    #[tokio::test]
    async fn an_address_that_refuses_costs_no_time_and_one_that_is_silent_a_quarter_second() {
        let here = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let here = (here.local_addr().unwrap(), here);
        let closed = {
            let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
            gone.local_addr().unwrap()
        };
        let stream = race([closed, closed, here.0].into_iter()).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), here.0);
        let error = race([closed, closed].into_iter()).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        let error = race(std::iter::empty()).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrNotAvailable);
    }
}
