//! TLS with a certificate that may change under way.

mod files;
mod resolver;
mod self_signed;
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
use tokio_rustls::TlsAcceptor;
use tracing::{error, info};

pub use self_signed::SELF_SIGNED_FILE;
pub use validity::{is_self_issued, not_after};

use crate::metrics::CertificateMetrics;
use files::{Files, Stamp};
use resolver::Resolver;

/// Where the certificate comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// One of the box's own, made at the first start and kept in this folder.
    SelfSigned(PathBuf),
    /// The same for these names and addresses, besides those of loopback; another is made when they change.
    SelfSignedFor {
        /// Where it is kept.
        folder: PathBuf,
        /// Names of the DNS, and IP addresses.
        names: Vec<String>,
    },
    /// Files in PEM, read again when they change.
    Files {
        /// The chain, the box's own certificate first.
        certificate: PathBuf,
        /// The private key.
        key: PathBuf,
    },
}

/// A TLS server; clones share its certificate.
#[derive(Clone)]
pub struct Tls {
    acceptor: TlsAcceptor,
    shared: Arc<Shared>,
}

struct Shared {
    files: Files,
    provider: Arc<CryptoProvider>,
    resolver: Arc<Resolver>,
    state: Mutex<State>,
    metrics: CertificateMetrics,
}

struct State {
    /// The files that the last attempt to load has seen.
    stamps: [Option<Stamp>; 2],
    expires: WallTime,
    fault: Option<String>,
}

/// A certificate on disk changes a few times a year; looking costs two system calls.
const LOOK_EVERY: Duration = Duration::from_secs(5);

impl Tls {
    /// Loads the certificate, or makes one where it is to be self-signed.
    ///
    /// # Errors
    /// When there is no usable certificate: there is none to fall back on at a start.
    pub fn open(source: &Source) -> Result<Self, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let files = match source {
            Source::SelfSigned(folder) => self_signed::find_or_make(folder, &[], &provider)?,
            Source::SelfSignedFor { folder, names } => self_signed::find_or_make(folder, names, &provider)?,
            Source::Files { certificate, key } => {
                Files { certificate: certificate.clone(), key: key.clone() }
            }
        };
        let stamps = files.stamps();
        let identity = files.load(&provider)?;
        let resolver = Arc::new(Resolver::new(identity.key));
        let state = State { stamps, expires: identity.expires, fault: None };
        let metrics = CertificateMetrics::default();
        metrics.loads.inc();
        Ok(Self {
            acceptor: TlsAcceptor::from(Arc::new(config(&provider, &resolver)?)),
            shared: Arc::new(Shared { files, provider, resolver, state: Mutex::new(state), metrics }),
        })
    }

    /// Reads the files again. The certificate in use stays when they can't be used, and
    /// [`Tls::fault`] says why.
    ///
    /// # Errors
    /// When they can't be used; whoever put them there has to mend them.
    pub fn reload(&self) -> Result<(), TlsError> {
        // Looked at before reading, so that a change while reading is seen the next time.
        let stamps = self.shared.files.stamps();
        let loaded = self.shared.files.load(&self.shared.provider);
        let mut state = self.state();
        state.stamps = stamps;
        match loaded {
            Ok(identity) => {
                self.shared.resolver.replace(identity.key);
                state.expires = identity.expires;
                state.fault = None;
                self.shared.metrics.loads.inc();
                info!(expires = %identity.expires, "loaded the certificate");
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

    /// Reads the files again if they have changed, or while they can't be used. True when a
    /// certificate was loaded.
    ///
    /// # Errors
    /// As for [`Tls::reload`].
    pub fn reload_if_changed(&self) -> Result<bool, TlsError> {
        let stamps = self.shared.files.stamps();
        let same = {
            let state = self.state();
            state.fault.is_none() && state.stamps == stamps
        };
        if same { Ok(false) } else { self.reload().map(|()| true) }
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

    /// Puts the metrics of the public listener's certificate into `registry`, which has no prefix.
    pub fn register(&self, registry: &mut Registry) {
        self.shared.metrics.register(registry, CertificateMetrics::PUBLIC);
    }

    /// The same of the store side's, under names of their own.
    pub fn register_api(&self, registry: &mut Registry) {
        self.shared.metrics.register(registry, CertificateMetrics::API);
    }

    /// Sets the metrics of the certificate as of `now`.
    pub fn show(&self, now: WallTime) {
        let (state, metrics) = (self.state(), &self.shared.metrics);
        metrics.seconds_left.set(state.expires.0.saturating_sub(now.0).div_euclid(1000));
        metrics.fault.set(i64::from(state.fault.is_some()));
    }

    /// The certificate in use, in DER, without the rest of its chain; `None` where it has none.
    #[must_use]
    pub fn certificate(&self) -> Option<Vec<u8>> {
        self.shared.resolver.current().end_entity_cert().ok().map(|der| der.to_vec())
    }

    /// Until when the certificate in use is valid.
    #[must_use]
    pub fn expires(&self) -> WallTime {
        self.state().expires
    }

    /// Why the files can't be used, while they can't.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        self.state().fault.clone()
    }

    pub(crate) const fn acceptor(&self) -> &TlsAcceptor {
        &self.acceptor
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

/// TLS 1.2 and 1.3. Sessions resume by tickets whose keys are changed every few hours, so that
/// nothing is kept for those who don't come back.
fn config(provider: &Arc<CryptoProvider>, resolver: &Arc<Resolver>) -> Result<ServerConfig, TlsError> {
    let mut config = ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Setup)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::clone(resolver) as Arc<_>);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.ticketer = rustls::crypto::ring::Ticketer::new().map_err(TlsError::Setup)?;
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
