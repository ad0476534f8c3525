//! Meta's client certificate: whether it is asked for, and what it has to be.
//!
//! A certificate is right when its chain ends at an authority of the CA file, it may be used by clients, it bears the
//! name, and it is valid at what is known of now ([`Known`]). It replaces no signature: it only keeps strangers
//! further out.

mod names;
mod strangers;
mod verify;
mod when;

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use model::WallTime;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, Error, HandshakeKind, RootCertStore, ServerConnection};
use tokio::time::Instant;
use tracing::{error, info, warn};

pub use when::Known;

use super::files::{PEM_BYTES, Stamp, stamp};
use super::tickets::Tickets;
use super::validity::{not_after, validity};
use crate::quiet::Quiet;
use crate::tls::TlsError;
use strangers::Strangers;

/// Roots of one file that are used; the old and the new one are two.
pub const ROOTS_MAX: usize = 16;

/// `client_auth` of a listener, where it isn't off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientAuth {
    /// Who is asked.
    pub whom: Whom,
    /// Who shows no certificate is turned away.
    pub required: bool,
    /// The authorities that it may come from, as PEM; read again when the file changes.
    pub ca: PathBuf,
    /// The name that it has to bear; any where there is none.
    pub name: Option<String>,
}

/// Whose client certificates are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whom {
    /// Meta's, at the public listener.
    Meta,
    /// Those of the programs that ask the store side.
    Programs,
}

impl Whom {
    const fn ca_key(self) -> &'static str {
        match self {
            Self::Meta => "webhook.client_auth.ca",
            Self::Programs => "api.client_auth.ca",
        }
    }
}

type Time = Box<dyn Fn() -> Known + Send + Sync>;

/// Who may come, and who came.
pub(super) struct Clients {
    whom: Whom,
    required: bool,
    ca: PathBuf,
    name: Option<String>,
    provider: Arc<CryptoProvider>,
    verifier: RwLock<Arc<dyn ClientCertVerifier>>,
    state: Mutex<State>,
    time: OnceLock<Time>,
    tickets: Arc<Tickets>,
    metrics: Metrics,
    refusals: Quiet,
}

struct State {
    stamp: Option<Stamp>,
    fault: Option<String>,
    strangers: Strangers,
}

#[derive(Debug, Default)]
struct Metrics {
    seen: Family<[(&'static str, &'static str); 1], Counter>,
    roots: Gauge,
    fault: Gauge,
}

impl Clients {
    /// Reads the CA file.
    ///
    /// # Errors
    /// When no certificate in it can be used: there are none to fall back on at a start.
    pub(super) fn open(
        auth: &ClientAuth,
        provider: Arc<CryptoProvider>,
        tickets: Arc<Tickets>,
    ) -> Result<Self, TlsError> {
        let stamp = stamp(&auth.ca);
        let (verifier, roots) = read(&auth.ca, &provider)?;
        let metrics = Metrics::default();
        metrics.roots.set(i64::try_from(roots).unwrap_or(i64::MAX));
        Ok(Self {
            whom: auth.whom,
            required: auth.required,
            ca: auth.ca.clone(),
            name: auth.name.clone(),
            provider,
            verifier: RwLock::new(verifier),
            state: Mutex::new(State { stamp, fault: None, strangers: Strangers::new(auth.whom) }),
            time: OnceLock::new(),
            tickets,
            metrics,
            refusals: Quiet::default(),
        })
    }

    /// Judges by this time from now on; the first call counts.
    pub(super) fn judge_by(&self, time: Time) {
        let _ = self.time.set(time);
    }

    pub(super) fn known(&self) -> Known {
        self.time.get().map_or_else(Known::default, |time| time())
    }

    /// Reads the CA file again. The roots in use stay when it can't be used, and [`Clients::fault`] says why. Tickets
    /// of before aren't taken any more: they hold what the old roots vouched for.
    ///
    /// # Errors
    /// When it can't be used; whoever put it there has to mend it.
    pub(super) fn reload(&self) -> Result<(), TlsError> {
        let stamp = stamp(&self.ca);
        let loaded = read(&self.ca, &self.provider);
        let mut state = self.state();
        state.stamp = stamp;
        match loaded {
            Ok((verifier, roots)) => {
                *self.verifier.write().unwrap_or_else(PoisonError::into_inner) = verifier;
                self.tickets.renew();
                (state.fault, state.strangers) = (None, Strangers::new(self.whom));
                self.metrics.roots.set(i64::try_from(roots).unwrap_or(i64::MAX));
                self.metrics.fault.set(0);
                info!(roots, key = self.whom.ca_key(), "read the authorities of client certificates");
                Ok(())
            }
            Err(error) => {
                let fault = error.to_string();
                if state.fault.as_ref() != Some(&fault) {
                    error!(%error, "keeping the authorities in use, since the new file cannot be used");
                }
                state.fault = Some(fault);
                self.metrics.fault.set(1);
                Err(error)
            }
        }
    }

    /// Reads the CA file again if it has changed, or while it can't be used. True when it was read.
    ///
    /// # Errors
    /// As for [`Clients::reload`].
    pub(super) fn reload_if_changed(&self) -> Result<bool, TlsError> {
        let seen = stamp(&self.ca);
        let same = {
            let state = self.state();
            state.fault.is_none() && state.stamp == seen
        };
        if same { Ok(false) } else { self.reload().map(|()| true) }
    }

    /// What a person should see to.
    pub(super) fn alarms(&self) -> Vec<String> {
        let mut state = self.state();
        let fault = state.fault.as_ref().map(|fault| {
            let key = self.whom.ca_key();
            format!("the new file of `{key}` can't be used, the old authorities stay: {fault}")
        });
        fault.into_iter().chain(state.strangers.alarm(Instant::now())).collect()
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        let [seen, roots, fault] = match self.whom {
            Whom::Meta => ["wagate_client_certificates", "wagate_client_roots", "wagate_client_roots_fault"],
            Whom::Programs => {
                ["wagate_api_client_certificates", "wagate_api_client_roots", "wagate_api_client_roots_fault"]
            }
        };
        registry.register(
            seen,
            "Handshakes while client certificates are asked for, by what was shown",
            self.metrics.seen.clone(),
        );
        registry.register(roots, "Authorities in use for client certificates", self.metrics.roots.clone());
        registry.register(
            fault,
            "1 while the file of authorities cannot be used and older ones are kept",
            self.metrics.fault.clone(),
        );
    }

    /// Looks at a handshake that went well: a session that was resumed shows no certificate again, so what it was
    /// begun with is judged by today's authorities and time.
    ///
    /// # Errors
    /// When it wouldn't be taken today. No ticket of before is taken then: the client comes with its certificate.
    pub(super) fn welcome(&self, connection: &ServerConnection) -> io::Result<()> {
        let shown = connection.peer_certificates().and_then(<[_]>::split_first);
        if connection.handshake_kind() == Some(HandshakeKind::Resumed) {
            let judged = match shown {
                Some((own, rest)) => self.judge(own, rest).map(drop),
                None if self.required => Err(Error::NoCertificatesPresented),
                None => Ok(()),
            };
            if let Err(error) = judged {
                self.tickets.renew();
                let error = io::Error::new(io::ErrorKind::InvalidData, error);
                self.refused(&error);
                return Err(error);
            }
        }
        self.count(if shown.is_some() { "accepted" } else { "none" });
        Ok(())
    }

    /// Notes a handshake that failed.
    pub(super) fn refused(&self, error: &io::Error) {
        let Some(result) = verify::refusal(error) else { return };
        self.count(result);
        if let Some(unsaid) = self.refusals.speak(Instant::now()) {
            warn!(
                result,
                unsaid,
                "refused a client for its certificate: a stranger, or see docs/operating/certificates.md"
            );
        }
    }

    fn count(&self, result: &'static str) {
        self.metrics.seen.get_or_create(&[("result", result)]).inc();
    }

    fn judge(
        &self,
        own: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
    ) -> Result<ClientCertVerified, Error> {
        let begun = rest.iter().chain([own]).filter_map(|one| validity(one)).map(|[begins, _]| begins).max();
        let moment = self.known().moment_ms(begun.map_or(0, |begun| begun.0));
        let moment = Duration::from_millis(u64::try_from(moment).unwrap_or_default());
        let verified = self
            .verifier()
            .verify_client_cert(own, rest, UnixTime::since_unix_epoch(moment))
            .map_err(|error| {
                if !verify::is_unknown_issuer(&error) {
                    return error;
                }
                let named = self.is_named(own);
                self.state().strangers.note(verify::authority(own, rest), named, Instant::now());
                Error::InvalidCertificate(CertificateError::UnknownIssuer)
            })?;
        if self.is_named(own) {
            Ok(verified)
        } else {
            Err(Error::InvalidCertificate(CertificateError::NotValidForName))
        }
    }

    fn is_named(&self, own: &CertificateDer<'_>) -> bool {
        self.name.as_deref().is_none_or(|name| names::bears(own, name))
    }

    fn verifier(&self) -> Arc<dyn ClientCertVerifier> {
        Arc::clone(&self.verifier.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Clients {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Clients").field("ca", &self.ca).field("name", &self.name).finish_non_exhaustive()
    }
}

/// One authority of a CA file, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// What it is called, in a few harmless characters.
    pub name: String,
    /// Until when it is valid; `None` where it doesn't say.
    pub expires: Option<WallTime>,
}

/// The authorities in a CA file, in its order.
///
/// # Errors
/// When it can't be read, or none in it can be used.
pub fn client_roots(ca: &Path) -> Result<Vec<Root>, TlsError> {
    let (_, used) = roots(ca)?;
    Ok(used.iter().map(|der| Root { name: names::called(der), expires: not_after(der) }).collect())
}

fn roots(path: &Path) -> Result<(RootCertStore, Vec<CertificateDer<'static>>), TlsError> {
    let mut pem = Vec::new();
    let read = File::open(path).and_then(|file| file.take(PEM_BYTES).read_to_end(&mut pem));
    read.map_err(|error| TlsError::Unreadable(path.to_owned(), error))?;
    let (mut store, mut used, mut unusable) = (RootCertStore::empty(), Vec::new(), None);
    for one in CertificateDer::pem_slice_iter(&pem).take(ROOTS_MAX) {
        let added = one.map_err(|error| error.to_string()).and_then(|der| {
            store.add(der.clone()).map_err(|error| error.to_string())?;
            used.push(der);
            Ok(())
        });
        if let Err(why) = added {
            warn!(file = %path.display(), why, "an authority in the file cannot be used; the others are");
            unusable = Some(why);
        }
    }
    if used.is_empty() {
        let why = unusable.unwrap_or_else(|| "no certificate in it".to_owned());
        return Err(TlsError::Certificate(path.to_owned(), why));
    }
    Ok((store, used))
}

fn read(
    path: &Path,
    provider: &Arc<CryptoProvider>,
) -> Result<(Arc<dyn ClientCertVerifier>, usize), TlsError> {
    let (store, used) = roots(path)?;
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(store), Arc::clone(provider)).build();
    let verifier = verifier.map_err(|error| TlsError::Certificate(path.to_owned(), error.to_string()))?;
    Ok((verifier, used.len()))
}
