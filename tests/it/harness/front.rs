//! What stands before an endpoint: TLS with a certificate that can be exchanged, and names that can go.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

/// An authority, and what it vouches for.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) pem: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut parameters = CertificateParams::new(Vec::new()).unwrap();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Two of one name would be taken for one whose signature is broken.
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let name = format!("authority {} of the tests", NEXT.fetch_add(1, Ordering::Relaxed));
        parameters.distinguished_name.push(DnType::CommonName, name);
        let pem = parameters.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(parameters, key), pem }
    }

    /// A client's chain and key, as Meta's is but for the authority.
    pub(crate) fn client(&self, name: &str) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let key = KeyPair::generate().unwrap();
        let mut parameters = CertificateParams::new(Vec::new()).unwrap();
        parameters.distinguished_name.push(DnType::CommonName, name);
        let certificate = parameters.signed_by(&key, &self.issuer).unwrap();
        (vec![certificate.der().clone()], PrivatePkcs8KeyDer::from(key.serialize_der()).into())
    }

    /// A certificate for a name, and its key, as PEM.
    pub(crate) fn vouch_for(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let parameters = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (parameters.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }

    /// A server on 127.0.0.1.
    fn server(&self) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let parameters = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let certificate = parameters.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}

/// TLS before something plain.
pub(crate) struct Front {
    pub(crate) address: SocketAddr,
    bad: watch::Sender<bool>,
    _task: JoinSet<()>,
}

impl Front {
    /// Shows what `trusted` vouches for.
    pub(crate) async fn start(upstream: SocketAddr, trusted: &Authority) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (good, strange) = (trusted.server(), Authority::new().server());
        let bad = watch::Sender::new(false);
        let mut state = bad.subscribe();
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let acceptor = if *state.borrow_and_update() { &strange } else { &good };
                let (acceptor, mut changed) = (acceptor.clone(), state.clone());
                connections.spawn(async move {
                    let carried = async {
                        let mut client = acceptor.accept(client).await?;
                        let mut server = TcpStream::connect(upstream).await?;
                        copy_bidirectional(&mut client, &mut server).await
                    };
                    tokio::select! {
                        _ = carried => {}
                        _ = changed.changed() => {}
                    }
                });
                while connections.try_join_next().is_some() {}
            }
        });
        Self { address, bad, _task: task }
    }

    /// Shows another certificate from now on, and ends all connections, as a server that is set up anew.
    pub(crate) fn show(&self, bad: bool) {
        self.bad.send_replace(bad);
    }
}

/// A DNS server to which every name is this machine, until it falls silent.
pub(crate) struct Names {
    pub(crate) address: Ipv4Addr,
    silent: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Names {
    /// On an address of loopback that no other run of the tests has, which takes the rights of root; `None` without.
    pub(crate) async fn start() -> Option<Self> {
        let [.., high, low] = std::process::id().to_be_bytes();
        let address = Ipv4Addr::new(127, 77, high, low.clamp(1, 254));
        let socket = UdpSocket::bind((address, 53)).await.ok()?;
        let silent = Arc::new(AtomicBool::new(false));
        let quiet = Arc::clone(&silent);
        let task = tokio::spawn(async move {
            let mut question = [0; 512];
            loop {
                let Ok((length, from)) = socket.recv_from(&mut question).await else { continue };
                if !quiet.load(Ordering::Relaxed)
                    && let Some(answer) = answer(&question[..length])
                {
                    let _ = socket.send_to(&answer, from).await;
                }
            }
        });
        Some(Self { address, silent, task })
    }

    pub(crate) fn fall_silent(&self, silent: bool) {
        self.silent.store(silent, Ordering::Relaxed);
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// RFC 1035, section 4: one question; 127.0.0.1 for an A, for a second, and nothing for whatever else.
fn answer(question: &[u8]) -> Option<Vec<u8>> {
    const HEADER: usize = 12;
    let name = question.get(HEADER..)?.iter().position(|byte| *byte == 0)?;
    let end = HEADER + name + 1 + 4;
    let is_a = question.get(end - 4..end)? == [0, 1, 0, 1];
    let mut answer = question.get(..2)?.to_vec();
    answer.extend([0x81, 0x80, 0, 1, 0, u8::from(is_a), 0, 0, 0, 0]);
    answer.extend(&question[HEADER..end]);
    if is_a {
        answer.extend([0xC0, 0x0C, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, 127, 0, 0, 1]);
    }
    Some(answer)
}
