//! Meta's client certificate, in each of the modes, over both versions of TLS.

use std::fs;
use std::io;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, SanType,
};
use rustls::client::Resumption;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, HandshakeKind, SupportedProtocolVersion};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsConnector;
use wagate_ingress::{
    ClientAuth, ConnectionLimits, Known, RequestLimits, Source, Tls, TlsError, Transport, Whom,
};

use crate::credulous::{AnyServer, ForAnyName};
use crate::support::*;

const NAME: &str = "client.webhooks.fbclientcerts.com";
/// 2026-11-22T00:00:00Z, by which everything here is judged.
const TODAY_MS: i64 = 1_795_305_600_000;

type Versions = [&'static SupportedProtocolVersion; 2];
const BOTH: Versions = [&TLS12, &TLS13];

/// An authority of the tests; each has a key of its own.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut parameters = CertificateParams::new(Vec::new()).unwrap();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.distinguished_name = DistinguishedName::new();
        parameters.distinguished_name.push(DnType::CommonName, name);
        let pem = parameters.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(parameters, key), pem }
    }

    fn vouches(&self, change: impl FnOnce(&mut CertificateParams)) -> Shown {
        let key = KeyPair::generate().unwrap();
        let certificate = meta(change).signed_by(&key, &self.issuer).unwrap();
        Shown(vec![certificate.der().clone()], key)
    }
}

/// A certificate as Meta's is, but for what `change` does.
fn meta(change: impl FnOnce(&mut CertificateParams)) -> CertificateParams {
    let mut parameters = CertificateParams::new(Vec::new()).unwrap();
    parameters.distinguished_name = DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, NAME);
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    parameters.not_before = rcgen::date_time_ymd(2026, 3, 31);
    parameters.not_after = rcgen::date_time_ymd(2027, 3, 31);
    change(&mut parameters);
    parameters
}

fn self_signed_client() -> Shown {
    let key = KeyPair::generate().unwrap();
    let certificate = meta(|_| ()).self_signed(&key).unwrap();
    Shown(vec![certificate.der().clone()], key)
}

/// What a client shows.
struct Shown(Vec<CertificateDer<'static>>, KeyPair);

/// A box that asks.
struct Asked {
    door: Door,
    tls: Tls,
    folder: TempDir,
    now_ms: Arc<AtomicI64>,
}

impl Asked {
    async fn new(required: bool, authorities: &[&Authority]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        write(&folder, authorities);
        let auth = ClientAuth {
            whom: Whom::Meta,
            required,
            ca: folder.path().join("ca.pem"),
            name: Some(NAME.to_owned()),
        };
        let tls = Tls::open(&Source::SelfSigned(folder.path().to_owned())).unwrap().asking(&auth).unwrap();
        let now_ms = Arc::new(AtomicI64::new(TODAY_MS));
        let clock = Arc::clone(&now_ms);
        tls.judge_clients_by(move || Known {
            now_ms: clock.load(Ordering::Relaxed),
            trusted: true,
            proved_ms: None,
        });
        let transport = Transport::Tls(tls.clone());
        let door = Door::over(transport, ConnectionLimits::default(), RequestLimits::default()).await;
        Self { door, tls, folder, now_ms }
    }

    fn config(shown: Option<&Shown>, versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyServer));
        match shown {
            None => config.with_no_client_auth(),
            Some(Shown(chain, key)) => {
                let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
                config.with_client_auth_cert(chain.clone(), key).unwrap()
            }
        }
    }

    /// A webhook with this client: its status, and how the handshake went.
    async fn post(&self, config: &Arc<ClientConfig>, name: &str) -> io::Result<(u16, HandshakeKind)> {
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let stream = self.door.connect().await;
        let mut stream = TlsConnector::from(Arc::clone(config)).connect(name, stream).await?;
        stream.write_all(&signed(b"{}")).await?;
        let mut bytes = [0; 12];
        stream.read_exact(&mut bytes).await?;
        let status = status(std::str::from_utf8(&bytes).unwrap());
        // The tickets come behind the handshake.
        let mut rest = [0; 1024];
        let _ = tokio::time::timeout(std::time::Duration::from_millis(5), stream.read(&mut rest)).await;
        Ok((status, stream.get_ref().1.handshake_kind().unwrap()))
    }

    /// Whether a client that shows this is let in, over both versions.
    async fn lets_in(&self, shown: Option<&Shown>) -> bool {
        let mut let_in = Vec::new();
        for version in BOTH {
            let config = Arc::new(Self::config(shown, &[version]));
            let answered = self.post(&config, "localhost").await;
            let_in.push(answered.is_ok_and(|(status, _)| status == 200));
        }
        assert_eq!(let_in[0], let_in[1], "TLS 1.2 and 1.3 agree");
        let_in[0]
    }

    fn seen(&self, result: &str) -> u64 {
        let line = format!("wagate_client_certificates_total{{result=\"{result}\"}} ");
        let text = exposition(|registry| self.tls.register(registry));
        text.lines().find_map(|found| found.strip_prefix(&line)?.parse().ok()).unwrap_or(0)
    }
}

fn write(folder: &TempDir, authorities: &[&Authority]) {
    let pem: String = authorities.iter().map(|authority| authority.pem.as_str()).collect();
    let draft = folder.path().join("ca.new");
    fs::write(&draft, pem).unwrap();
    fs::rename(draft, folder.path().join("ca.pem")).unwrap();
}

/// Every certificate that there may be, and whether it is right.
fn every_kind(ours: &Authority) -> Vec<(&'static str, Shown, &'static str)> {
    let strange = Authority::new("a stranger");
    // Meta's authority with a new key: its name says nothing.
    let namesake = Authority::new("Meta Outbound API CA");
    let intermediate_key = KeyPair::generate().unwrap();
    let mut intermediate = CertificateParams::new(Vec::new()).unwrap();
    intermediate.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    intermediate.distinguished_name = DistinguishedName::new();
    intermediate.distinguished_name.push(DnType::CommonName, "issuing");
    let middle = intermediate.signed_by(&intermediate_key, &ours.issuer).unwrap().der().clone();
    let key = KeyPair::generate().unwrap();
    let leaf = meta(|_| ()).signed_by(&key, &Issuer::new(intermediate, intermediate_key)).unwrap();
    let dns = |name: &str| vec![SanType::DnsName(name.try_into().unwrap())];
    vec![
        ("right", ours.vouches(|_| ()), "accepted"),
        ("right, under an intermediate", Shown(vec![leaf.der().clone(), middle], key), "accepted"),
        ("for any use", ours.vouches(|one| one.extended_key_usages.clear()), "accepted"),
        ("by its alternative name", ours.vouches(|one| one.subject_alt_names = dns(NAME)), "accepted"),
        ("expired", ours.vouches(|one| one.not_after = rcgen::date_time_ymd(2026, 11, 21)), "expired"),
        (
            "not yet valid",
            ours.vouches(|one| one.not_before = rcgen::date_time_ymd(2026, 11, 23)),
            "not_yet_valid",
        ),
        (
            "another name",
            ours.vouches(|one| one.distinguished_name.push(DnType::CommonName, "other.fbclientcerts.com")),
            "wrong_name",
        ),
        (
            "another alternative name",
            ours.vouches(|one| one.subject_alt_names = dns("box.example.com")),
            "wrong_name",
        ),
        (
            "a server's",
            ours.vouches(|one| one.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]),
            "wrong_use",
        ),
        ("self-signed", self_signed_client(), "unknown_issuer"),
        ("another authority's", strange.vouches(|_| ()), "unknown_issuer"),
        ("that of an authority of the same name", namesake.vouches(|_| ()), "unknown_issuer"),
    ]
}

#[tokio::test]
async fn required_is_required_and_optional_refuses_only_what_is_wrong() {
    let ours = Authority::new("Meta Outbound API CA");
    for required in [true, false] {
        let asked = Asked::new(required, &[&ours]).await;
        for (what, shown, result) in every_kind(&ours) {
            let before = asked.seen(result);
            assert_eq!(
                asked.lets_in(Some(&shown)).await,
                result == "accepted",
                "{what}, required: {required}"
            );
            until(|| asked.seen(result) == before + 2).await;
        }
        assert_eq!(asked.lets_in(None).await, !required);
        until(|| asked.seen("none") == 2).await;
    }
}

#[tokio::test]
async fn off_asks_nobody_and_takes_everybody() {
    let folder = tempfile::tempdir().unwrap();
    let tls = Tls::open(&Source::SelfSigned(folder.path().to_owned())).unwrap();
    assert_eq!((tls.own_name(), tls.alarms()), (None, vec![]));
    let transport = Transport::Tls(tls.clone());
    let door = Door::over(transport, ConnectionLimits::default(), RequestLimits::default()).await;
    let asked = Asked { door, tls, folder, now_ms: Arc::default() };
    assert!(asked.lets_in(None).await && asked.lets_in(Some(&self_signed_client())).await);
    assert!(!exposition(|registry| asked.tls.register(registry)).contains("wagate_client"));
}

#[tokio::test]
async fn the_file_may_hold_the_old_root_and_the_new_one_and_is_read_again() {
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let asked = Asked::new(true, &[&old]).await;
    let (by_old, by_new) = (old.vouches(|_| ()), new.vouches(|_| ()));
    assert!(asked.lets_in(Some(&by_old)).await && !asked.lets_in(Some(&by_new)).await);
    let alarms = asked.tls.alarms();
    assert!(
        alarms.len() == 1 && alarms[0].contains("with Meta's name") && alarms[0].contains("\"new\""),
        "{alarms:?}"
    );

    write(&asked.folder, &[&old, &new]);
    assert!(asked.tls.reload_if_changed().unwrap());
    assert!(asked.lets_in(Some(&by_old)).await && asked.lets_in(Some(&by_new)).await);
    assert_eq!(asked.tls.alarms(), Vec::<String>::new(), "the new one isn't unknown any more");

    // One that can't be read costs only itself.
    let spoilt = format!("{}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", new.pem);
    fs::write(asked.folder.path().join("ca.pem"), spoilt).unwrap();
    asked.tls.reload().unwrap();
    assert!(!asked.lets_in(Some(&by_old)).await && asked.lets_in(Some(&by_new)).await);

    for useless in ["", "none", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        fs::write(asked.folder.path().join("ca.pem"), useless).unwrap();
        asked.tls.reload().unwrap_err();
        assert!(asked.tls.alarms()[0].contains("ca.pem"), "{:?}", asked.tls.alarms());
        assert!(
            exposition(|registry| asked.tls.register(registry)).contains("wagate_client_roots_fault 1\n")
        );
        assert!(asked.lets_in(Some(&by_new)).await, "the authorities in use stay");
    }
    write(&asked.folder, &[&new]);
    asked.tls.reload_if_changed().unwrap();
    assert_eq!(asked.tls.alarms(), Vec::<String>::new());
}

#[tokio::test]
async fn a_start_without_an_authority_says_which_file() {
    let folder = tempfile::tempdir().unwrap();
    let tls = || Tls::open(&Source::SelfSigned(folder.path().to_owned())).unwrap();
    let auth = ClientAuth {
        whom: Whom::Meta,
        required: true,
        ca: folder.path().join("ca.pem"),
        name: Some(NAME.to_owned()),
    };
    let refused = tls().asking(&auth).unwrap_err();
    assert!(
        matches!(refused, TlsError::Unreadable(..)) && refused.to_string().contains("ca.pem"),
        "{refused}"
    );
    fs::write(&auth.ca, "none").unwrap();
    assert!(matches!(tls().asking(&auth).unwrap_err(), TlsError::Certificate(..)));
}

#[tokio::test]
async fn the_box_itself_needs_no_certificate_by_a_name_that_nobody_else_knows() {
    let asked = Asked::new(true, &[&Authority::new("ours")]).await;
    let own = asked.tls.own_name().unwrap();
    for version in BOTH {
        let mut config = Asked::config(None, &[version]);
        config.resumption = Resumption::store(Arc::new(ForAnyName::default()));
        let config = Arc::new(config);
        for kind in [HandshakeKind::Full, HandshakeKind::Resumed] {
            assert_eq!(asked.post(&config, &own).await.unwrap(), (200, kind));
        }
        // The ticket of that session opens nothing for who asks for another name.
        asked.post(&config, "localhost").await.unwrap_err();
    }
    let config = Arc::new(Asked::config(None, &BOTH));
    let guess = format!("{}.invalid", "0".repeat(own.len() - ".invalid".len()));
    assert!(asked.post(&config, &guess).await.is_err());
    let other = Asked::new(true, &[&Authority::new("ours")]).await.tls.own_name().unwrap();
    assert!(own != other && asked.post(&config, &other).await.is_err());
}

/// A resumed session shows no certificate again: what it was begun with has to be right still.
#[tokio::test]
async fn a_ticket_does_not_outlive_what_it_was_given_for() {
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    for version in BOTH {
        let asked = Asked::new(true, &[&old, &new]).await;
        let client = |shown: &Shown| {
            let mut config = Asked::config(Some(shown), &[version]);
            config.resumption = Resumption::in_memory_sessions(8);
            Arc::new(config)
        };
        let (by_old, by_new) = (client(&old.vouches(|_| ())), client(&new.vouches(|_| ())));
        for config in [&by_old, &by_new] {
            assert_eq!(asked.post(config, "localhost").await.unwrap(), (200, HandshakeKind::Full));
            assert_eq!(asked.post(config, "localhost").await.unwrap(), (200, HandshakeKind::Resumed));
        }
        // The old root is withdrawn.
        write(&asked.folder, &[&new]);
        asked.tls.reload_if_changed().unwrap();
        asked.post(&by_old, "localhost").await.unwrap_err();
        assert_eq!(asked.post(&by_new, "localhost").await.unwrap(), (200, HandshakeKind::Full));
        assert_eq!(asked.post(&by_new, "localhost").await.unwrap(), (200, HandshakeKind::Resumed));
        // The certificate ends while the ticket would still be good; one that is valid comes in by a full handshake.
        let before = asked.seen("expired");
        asked.now_ms.fetch_add(200 * 24 * 3_600_000, Ordering::Relaxed);
        asked.post(&by_new, "localhost").await.unwrap_err();
        assert_eq!(asked.seen("expired"), before + 1);
        asked.now_ms.store(TODAY_MS, Ordering::Relaxed);
        assert_eq!(asked.post(&by_new, "localhost").await.unwrap().1, HandshakeKind::Full, "{version:?}");
    }
}

/// Whatever the clock says: while nothing is known of the time, chain and name have to do.
#[tokio::test]
async fn a_clock_in_1970_keeps_meta_in_and_strangers_out() {
    let ours = Authority::new("ours");
    let asked = Asked::new(true, &[&ours]).await;
    let folder = tempfile::tempdir().unwrap();
    write(&folder, &[&ours]);
    let auth = ClientAuth {
        whom: Whom::Meta,
        required: true,
        ca: folder.path().join("ca.pem"),
        name: Some(NAME.to_owned()),
    };
    let tls = Tls::open(&Source::SelfSigned(folder.path().to_owned())).unwrap().asking(&auth).unwrap();
    let known = Arc::new(Mutex::new(Known { now_ms: 60_000, trusted: false, proved_ms: None }));
    let told = Arc::clone(&known);
    tls.judge_clients_by(move || *told.lock().unwrap());
    let transport = Transport::Tls(tls.clone());
    let door = Door::over(transport, ConnectionLimits::default(), RequestLimits::default()).await;
    let unset = Asked { door, tls, folder, now_ms: Arc::default() };
    drop(asked);
    assert!(unset.lets_in(Some(&ours.vouches(|_| ()))).await);
    assert!(!unset.lets_in(Some(&self_signed_client())).await);
    let old = ours.vouches(|one| {
        (one.not_before, one.not_after) =
            (rcgen::date_time_ymd(2023, 1, 1), rcgen::date_time_ymd(2024, 1, 1));
    });
    assert!(!unset.lets_in(Some(&old)).await, "older than this program");
    let last_year = ours.vouches(|one| {
        (one.not_before, one.not_after) =
            (rcgen::date_time_ymd(2025, 4, 1), rcgen::date_time_ymd(2026, 4, 15));
    });
    assert!(unset.lets_in(Some(&last_year)).await, "nobody can say that it is over");
    known.lock().unwrap().proved_ms = Some(TODAY_MS);
    assert!(!unset.lets_in(Some(&last_year)).await, "Meta has signed what time it is");
    assert!(unset.lets_in(Some(&ours.vouches(|_| ()))).await);
}
