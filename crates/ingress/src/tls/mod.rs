//! TLS with a certificate that may change under way.

mod challenges;
mod client;
mod files;
mod handshake;
mod identity;
mod managed;
mod resolver;
mod self_signed;
mod staple;
mod stapling;
mod suites;
mod tickets;
mod validity;

use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::WallTime;
use prometheus_client::registry::Registry;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::server::NoServerSessionStorage;
use tracing::{error, info};

pub use challenges::Challenge;
pub use client::{ClientAuth, Known, ROOTS_MAX, Root, client_roots};
pub use identity::{AuthorityAndSerial, authority_and_serial};
pub use validity::{is_self_issued, not_after, validity};

use crate::metrics::CertificateMetrics;
use challenges::Challenges;
use client::Clients;
use files::{Files, Identity, Stamp};
use handshake::Asking;
use resolver::Resolver;
use stapling::Stapling;
use tickets::Tickets;

/// Where the certificate comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// One of the box's own, made at the first start and kept in this folder.
    SelfSigned(PathBuf),
    /// Files in PEM, read again when they change.
    Files {
        /// The chain, the box's own certificate first.
        certificate: PathBuf,
        /// The private key.
        key: PathBuf,
        /// An OCSP answer in DER, to be shown beside the certificate.
        ocsp: Option<PathBuf>,
    },
    /// Whatever [`Tls::install`] is given: none until then, and every handshake fails.
    Managed,
}

/// A TLS server; clones share its certificate.
#[derive(Clone)]
pub struct Tls {
    config: Arc<ServerConfig>,
    asking: Option<Asking>,
    shared: Arc<Shared>,
}

struct Shared {
    /// `None` where the certificate is managed.
    files: Option<Files>,
    /// Only where the certificate is managed.
    challenges: Option<Challenges>,
    provider: Arc<CryptoProvider>,
    resolver: Arc<Resolver>,
    state: Mutex<State>,
    metrics: CertificateMetrics,
}

struct State {
    /// The files that the last attempt to load has seen.
    stamps: [Option<Stamp>; 3],
    /// `None` without a certificate.
    life: Option<[WallTime; 2]>,
    fault: Option<String>,
    stapling: Option<Stapling>,
}

/// A certificate on disk changes a few times a year; looking costs two system calls.
const LOOK_EVERY: Duration = Duration::from_secs(5);

impl Tls {
    /// Loads the certificate, or makes one where it is to be self-signed.
    ///
    /// # Errors
    /// When there is no usable certificate: there is none to fall back on at a start.
    pub fn open(source: &Source) -> Result<Self, TlsError> {
        let provider = suites::provider();
        let files = match source {
            Source::SelfSigned(folder) => Some(self_signed::find_or_make(folder, &provider)?),
            Source::Files { certificate, key, ocsp } => {
                Some(Files { certificate: certificate.clone(), key: key.clone(), ocsp: ocsp.clone() })
            }
            Source::Managed => None,
        };
        let stamps = files.as_ref().map(Files::stamps).unwrap_or_default();
        let identity = files.as_ref().map(|files| files.load(&provider)).transpose()?;
        let resolver = Arc::new(Resolver::default());
        let tickets = Tickets::new().map_err(TlsError::Setup)?;
        let config = Arc::new(config(&provider, &resolver, Arc::new(tickets), None)?);
        let challenges = files.is_none().then(Challenges::default);
        let state = Mutex::new(State { stamps, life: None, fault: None, stapling: None });
        let metrics = CertificateMetrics::default();
        let shared = Arc::new(Shared { files, challenges, provider, resolver, state, metrics });
        let tls = Self { config, asking: None, shared };
        if let Some(identity) = identity {
            tls.take(&mut tls.state(), identity);
        }
        Ok(tls)
    }

    /// Reads the files again, where there are any, and the authorities of clients. The certificate in use stays when
    /// they can't be used, and [`Tls::fault`] says why.
    ///
    /// # Errors
    /// When they can't be used; whoever put them there has to mend them.
    pub fn reload(&self) -> Result<(), TlsError> {
        let clients = self.asking.as_ref().map_or(Ok(()), |asking| asking.clients.reload());
        self.reload_certificate().and(clients)
    }

    fn reload_certificate(&self) -> Result<(), TlsError> {
        let Some(files) = &self.shared.files else { return Ok(()) };
        // Looked at before reading, so that a change while reading is seen the next time.
        let stamps = files.stamps();
        let loaded = files.load(&self.shared.provider);
        let mut state = self.state();
        state.stamps = stamps;
        match loaded {
            Ok(identity) => {
                info!(expires = %identity.life[1], "loaded the certificate");
                self.take(&mut state, identity);
                Ok(())
            }
            Err(error) => {
                let fault = error.to_string();
                if state.fault.as_ref() != Some(&fault) {
                    error!(%error, "keeping the certificate in use, since the new one cannot be used");
                }
                state.fault = Some(fault);
                Err(error)
            }
        }
    }

    /// Reads the files again if they have changed, or while they can't be used; those of the authorities likewise.
    /// True when one was loaded.
    ///
    /// # Errors
    /// As for [`Tls::reload`].
    pub fn reload_if_changed(&self) -> Result<bool, TlsError> {
        let clients = self.asking.as_ref().map_or(Ok(false), |asking| asking.clients.reload_if_changed());
        let certificate = self.certificate_if_changed()?;
        Ok(certificate | clients?)
    }

    fn certificate_if_changed(&self) -> Result<bool, TlsError> {
        let Some(files) = &self.shared.files else { return Ok(false) };
        let stamps = files.stamps();
        let same = {
            let state = self.state();
            state.fault.is_none() && state.stamps == stamps
        };
        if same { Ok(false) } else { self.reload_certificate().map(|()| true) }
    }

    /// Looks after the files every few seconds until `stop`, and sets the metrics as of `now`.
    pub async fn watch(self, now: impl Fn() -> WallTime + Send, stop: impl Future<Output = ()> + Send) {
        let mut stop = pin!(stop);
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = &mut stop => return,
                _ = look.tick() => {}
            }
            let tls = self.clone();
            // A failure is logged and kept as the fault; a panic would leave the old certificate.
            let _ = tokio::task::spawn_blocking(move || tls.reload_if_changed()).await;
            self.show(now());
        }
    }

    /// Puts the metrics of the certificate into `registry`, which has no prefix.
    pub fn register(&self, registry: &mut Registry) {
        self.shared.metrics.register(registry);
        if let Some(asking) = &self.asking {
            asking.clients.register(registry);
        }
    }

    /// Sets the metrics of the certificate as of `now`, and shows an OCSP answer with it while that is valid.
    pub fn show(&self, now: WallTime) {
        self.staple(now);
        let (state, metrics) = (self.state(), &self.shared.metrics);
        let left = state.life.map_or(0, |[_, end]| end.0.saturating_sub(now.0).div_euclid(1000));
        metrics.seconds_left.set(left);
        metrics.fault.set(i64::from(state.fault.is_some()));
    }

    /// The certificate in use, in DER, without the rest of its chain; `None` where it has none.
    #[must_use]
    pub fn certificate(&self) -> Option<Vec<u8>> {
        self.shared.resolver.current()?.end_entity_cert().ok().map(|der| der.to_vec())
    }

    /// Until when the certificate in use is valid; `None` without one.
    #[must_use]
    pub fn expires(&self) -> Option<WallTime> {
        self.life().map(|[_, end]| end)
    }

    /// From when until when the certificate in use is valid; `None` without one.
    #[must_use]
    pub fn life(&self) -> Option<[WallTime; 2]> {
        self.state().life
    }

    /// Why the files can't be used, while they can't.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        self.state().fault.clone()
    }

    /// Shows `identity` from now on.
    fn take(&self, state: &mut State, identity: Identity) {
        self.shared.resolver.replace(identity.key);
        state.life = Some(identity.life);
        state.fault = None;
        state.stapling = identity.staple.map(Stapling::new);
        self.shared.metrics.loads.inc();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("files", &self.shared.files).finish_non_exhaustive()
    }
}

/// TLS 1.2 and 1.3. Sessions resume by tickets, so that nothing is kept for those who don't come back. No early data
/// (0-RTT): it can be sent twice by whoever has recorded it. No compression and no renegotiation: the library has none.
fn config(
    provider: &Arc<CryptoProvider>,
    resolver: &Arc<Resolver>,
    tickets: Arc<Tickets>,
    clients: Option<Arc<Clients>>,
) -> Result<ServerConfig, TlsError> {
    let builder = ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(TlsError::Setup)?;
    let builder = match clients {
        Some(clients) => builder.with_client_cert_verifier(clients),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(Arc::clone(resolver) as Arc<_>);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.ticketer = tickets;
    config.max_early_data_size = 0;
    Ok(config)
}

/// Why there is no (new) certificate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file can't be read: whoever put it there has to look at path and permissions.
    #[error("cannot read {}: {}", .0.display(), .1)]
    Unreadable(PathBuf, #[source] io::Error),
    /// The certificate file holds no usable chain.
    #[error("{} holds no usable certificate: {}", .0.display(), .1)]
    Certificate(PathBuf, String),
    /// The key file holds no usable key, or one that belongs to another certificate.
    #[error("{} holds no key for the certificate: {}", .0.display(), .1)]
    Key(PathBuf, String),
    /// What was to be installed is no chain with its key.
    #[error("the certificate can't be used: {0}")]
    Unusable(String),
    /// A self-signed certificate can't be made: the system has no randomness.
    #[error("cannot make a self-signed certificate: {0}")]
    Make(#[source] rcgen::Error),
    /// The self-signed certificate can't be kept: the folder can't be written, or the disk is full.
    #[error("cannot keep the self-signed certificate in {}: {}", .0.display(), .1)]
    Keep(PathBuf, #[source] io::Error),
    /// The TLS library refuses its own settings: our fault.
    #[error("cannot set up TLS: {0}")]
    Setup(#[source] rustls::Error),
}
