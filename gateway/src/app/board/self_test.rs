//! The webhook that a version on trial posts to itself, the way that Meta's take: TCP, TLS, signature, writer, 200.
//!
//! Its body bears a nonce that only this process knows, and [`super::super::admit`] takes exactly these bytes for
//! the self-test: a value is written in place of records, nothing goes to the CRM or into the journal. To every
//! other process the same bytes are a webhook like any other.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::sync::OnceLock;
use std::time::Duration;

use ingress::Tls;
use ingress::proxy::Relays;
use model::signature::hub::{AppSecret, HEADER};
use ring::rand::SecureRandom as _;
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, Error, StreamOwned};
use store::{Change, Transaction};
use subtle::ConstantTimeEq as _;

use crate::onlooker::judging_by;

/// Where the value lies among those of the store. No key of the others begins with this letter.
const KEY: &[u8] = b"Yself-test";
/// The nonce in bytes: nobody finds it by trying.
const NONCE_BYTES: usize = 32;
/// For a connection through loopback.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// For an answer: longer than a webhook is kept waiting for the disk.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);
/// `HTTP/1.1 200`, which is all that is read.
const STATUS_BYTES: usize = 12;

/// The PROXY protocol's words for a connection of the relay's own.
const OWN_CONNECTION: &[u8] = b"PROXY UNKNOWN\r\n";

/// The self-test's webhook; there is none in a process that has nothing to prove.
#[derive(Debug, Default)]
pub(in super::super) struct SelfTest(OnceLock<Vec<u8>>);

impl SelfTest {
    /// The body, made at the first call; recognised from then on.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub(super) fn body(&self) -> Result<&[u8], String> {
        if let Some(body) = self.0.get() {
            return Ok(body);
        }
        let mut nonce = [0; NONCE_BYTES];
        let random = ring::rand::SystemRandom::new();
        random.fill(&mut nonce).map_err(|_| "the system gives no random numbers".to_owned())?;
        let digits: String = nonce.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(self
            .0
            .get_or_init(|| format!(r#"{{"object":"wagate self-test","nonce":"{digits}"}}"#).into_bytes()))
    }

    /// Whether `body` is it, to the last byte.
    pub(in super::super) fn is(&self, body: &[u8]) -> bool {
        self.0.get().is_some_and(|own| own.as_slice().ct_eq(body).into())
    }

    /// What is written in place of records. It needs no room in the budget: that customers' messages wait for the
    /// CRM says nothing about this version.
    pub(in super::super) fn transaction() -> Transaction {
        let value = env!("CARGO_PKG_VERSION").as_bytes().to_vec();
        let changes = vec![Change { key: KEY.to_vec(), value: Some(value) }];
        Transaction { changes, items: Vec::new(), essential: true }
    }
}

/// Where the webhook goes.
#[derive(Debug, Clone)]
pub(super) struct Door {
    /// The public listener as it is bound.
    pub(super) address: SocketAddr,
    /// The same door on loopback, for as long as the network hasn't given this machine `address`.
    pub(super) inside: Option<SocketAddr>,
    /// The path of the webhook.
    pub(super) path: String,
    /// Whose connections begin with a PROXY header: where a tunnel ends on this machine, ours do.
    pub(super) relays: Relays,
    /// The listener's certificate; `None` where it speaks plain HTTP.
    pub(super) tls: Option<Tls>,
}

impl Door {
    /// An update has to go well while the network is down: then the address that is listened on is nobody's.
    fn reached_at(&self) -> SocketAddr {
        match self.inside {
            Some(inside) if !is_ours(self.address.ip()) => inside,
            _ => SocketAddr::new(through_loopback(self.address.ip()), self.address.port()),
        }
    }

    /// Posts `body`, signed with `secret`; `Ok` when it is answered with 200, else what happened in words. Blocks.
    pub(super) fn post(&self, body: &[u8], secret: &AppSecret) -> Result<(), String> {
        let address = self.reached_at();
        let reach = |error: io::Error| format!("our own listener at {address}: {error}");
        let mut stream = TcpStream::connect_timeout(&address, CONNECT_WITHIN).map_err(reach)?;
        stream.set_read_timeout(Some(ANSWER_WITHIN)).map_err(reach)?;
        stream.set_write_timeout(Some(ANSWER_WITHIN)).map_err(reach)?;
        if self.relays.contains(stream.local_addr().map_err(reach)?.ip()) {
            stream.write_all(OWN_CONNECTION).map_err(reach)?;
        }
        let head = format!(
            "POST {} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{HEADER}: {}\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n",
            self.path,
            secret.sign(body),
            body.len()
        );
        let request = [head.as_bytes(), body].concat();
        let status = match &self.tls {
            None => ask(stream, &request),
            Some(tls) => connection(tls, address)
                .map_err(|error| format!("no TLS with ourselves: {error}"))
                .map(|connection| ask(StreamOwned::new(connection, stream), &request))?,
        };
        match status.map_err(reach)?.as_str() {
            "200" => Ok(()),
            "503" => Err("answered with 503: it couldn't be stored, see the alarms".to_owned()),
            other => Err(format!("answered with {other:?} in place of 200")),
        }
    }
}

/// Whether this machine surely has `address`. Nothing is sent.
fn is_ours(address: IpAddr) -> bool {
    if address.is_loopback() {
        return true;
    }
    let any: IpAddr = match address {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    // The kernel reaches an address of the machine's own from that very address (or, where an interface has several,
    // from its first one), and any other from another.
    let from = UdpSocket::bind((any, 0)).and_then(|socket| {
        // Any port: nobody is asked.
        socket.connect((address, 9))?;
        socket.local_addr()
    });
    from.is_ok_and(|from| from.ip() == address)
}

/// The address at which a listener can be reached from its own machine.
const fn through_loopback(listens: IpAddr) -> IpAddr {
    match listens {
        IpAddr::V4(address) if address.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(address) if address.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        IpAddr::V4(_) | IpAddr::V6(_) => listens,
    }
}

/// Sends the request; gives the answer's status.
fn ask(mut stream: impl Read + Write, request: &[u8]) -> io::Result<String> {
    stream.write_all(request)?;
    stream.flush()?;
    let mut line = [0; STATUS_BYTES];
    stream.read_exact(&mut line)?;
    let status = line.strip_prefix(b"HTTP/1.1 ").unwrap_or(&line);
    Ok(String::from_utf8_lossy(status).into_owned())
}

/// Takes the certificate that the listener has in use and no other: whether the world takes it is the business of
/// `doctor`.
fn connection(tls: &Tls, address: SocketAddr) -> Result<ClientConnection, Error> {
    // What an authority hasn't given yet says nothing about this version.
    if tls.certificate().is_none() {
        let (name, own) = tls.inside().map_err(|error| Error::General(error.to_string()))?;
        let config = judging_by(move |shown| *own == **shown)?;
        let name = ServerName::try_from(name).map_err(|error| Error::General(error.to_string()))?;
        return ClientConnection::new(config, name);
    }
    let (tls, own_name) = (tls.clone(), tls.own_name());
    let config = judging_by(move |shown| tls.certificate().is_some_and(|own| own == shown.as_ref()))?;
    // By that name it needs no client certificate.
    let name = own_name.and_then(|name| ServerName::try_from(name).ok());
    ClientConnection::new(config, name.unwrap_or(ServerName::IpAddress(address.ip().into())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_very_bytes_of_this_process_are_the_self_test() {
        let (ours, other) = (SelfTest::default(), SelfTest::default());
        assert!(!ours.is(b""), "nothing is, before there is one");
        let body = ours.body().unwrap().to_vec();
        assert_eq!(ours.body().unwrap(), body, "one for each process");
        assert!(ours.is(&body) && !other.is(&body));
        assert!(!ours.is(other.body().unwrap()));
        for end in 0..body.len() {
            assert!(!ours.is(&body[..end]));
            let mut changed = body.clone();
            changed[end] ^= 1;
            assert!(!ours.is(&changed));
        }
        assert!(!ours.is(&[body.as_slice(), b" "].concat()));
    }

    #[test]
    fn a_listener_on_every_address_is_reached_through_loopback() {
        for (listens, reached) in [
            ("0.0.0.0", "127.0.0.1"),
            ("::", "::1"),
            ("192.168.1.20", "192.168.1.20"),
            ("127.0.0.9", "127.0.0.9"),
        ] {
            assert_eq!(through_loopback(listens.parse().unwrap()).to_string(), reached);
        }
    }

    #[test]
    fn an_address_that_the_network_has_not_given_is_reached_through_loopback() {
        let inside: SocketAddr = "127.0.0.1:8443".parse().unwrap();
        // Of documentation's network (RFC 5737): no machine has it.
        let door = |address: &str, inside| {
            Door {
                address: address.parse().unwrap(),
                inside,
                path: String::new(),
                relays: Relays::default(),
                tls: None,
            }
            .reached_at()
        };
        assert_eq!(door("192.0.2.77:8443", Some(inside)), inside);
        assert_eq!(door("192.0.2.77:8443", None).to_string(), "192.0.2.77:8443");
        assert_eq!(door("127.0.0.2:8443", Some(inside)).to_string(), "127.0.0.2:8443", "that one is there");
    }

    #[test]
    fn no_listener_is_said() {
        let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let door = Door {
            address: gone,
            inside: None,
            path: "/webhook".to_owned(),
            relays: Relays::default(),
            tls: None,
        };
        assert!(door.post(b"{}", &AppSecret::new(b"secret")).unwrap_err().contains("refused"));
    }
}
