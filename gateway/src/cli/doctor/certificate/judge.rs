//! A chain, judged as Meta would.

use std::sync::Arc;
use std::time::Duration;

use ingress::is_self_issued;
use model::WallTime;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, Error, RootCertStore};

use super::super::finding::{Check, Finding};
use super::super::words;
use super::ends;
use crate::demo::text::harmless;

/// Below so many days a renewal is overdue: certificates of 90 days are renewed at 30.
const WARN_DAYS: i64 = 14;
const DAY_MS: i64 = 24 * 3_600_000;
/// No certificate of a public authority is for this name (RFC 2606).
const NOBODY: &str = "nobody.invalid";
/// Names of a certificate that are shown.
const NAMES_MAX: usize = 4;

/// Where a chain was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum Seen {
    /// At the public address, as Meta sees it.
    Public,
    /// At the listener; and why not at the public address, where that is known.
    Listener {
        /// In words.
        unseen: Option<String>,
    },
    /// In the files: the gateway isn't running.
    Files,
}

/// A chain, and what it is measured by.
pub(in super::super) struct Shown<'a> {
    /// The box's own certificate first.
    pub(in super::super) chain: &'a [CertificateDer<'static>],
    /// The name that Meta calls, where it's known.
    pub(in super::super) host: Option<&'a str>,
    pub(in super::super) now: WallTime,
    /// Whom Meta trusts.
    pub(in super::super) roots: Arc<RootCertStore>,
    /// Self-signed on loopback, as the configuration says: nothing that Meta should ever see.
    pub(in super::super) trial: bool,
    pub(in super::super) seen: Seen,
}

/// Says what Meta would think of it.
pub(in super::super) fn judge(shown: &Shown<'_>) -> Finding {
    let finding = verdict(shown);
    let finding = match ends(shown.chain) {
        Some(ends) => finding.fact("expires_at", ends.rfc3339_seconds()),
        None => finding,
    };
    if finding.detail.is_some() {
        return finding;
    }
    match &shown.seen {
        Seen::Listener { unseen: Some(why) } => finding.detail(format!(
            "Seen at the listener itself: the public address can't be reached from inside ({why}), as with many routers."
        )),
        Seen::Files => finding.detail("Read from the files: the gateway isn't running."),
        Seen::Public | Seen::Listener { unseen: None } => finding,
    }
}

fn verdict(shown: &Shown<'_>) -> Finding {
    let Some((own, rest)) = shown.chain.split_first() else {
        return Finding::fail(Check::Certificate, "none is shown").next("docs/operating/certificates.md");
    };
    if is_self_issued(own) == Some(true) {
        let words = "self-signed, which Meta refuses";
        return if shown.trial {
            Finding::warn(Check::Certificate, format!("{words}; good enough for a trial on this machine"))
                .next("before Meta is connected: a certificate of a public authority; docs/operating/certificates.md")
        } else {
            Finding::fail(Check::Certificate, words)
                .next("get a certificate of a public authority (certbot, say): `certificate` and `key` in [webhook.tls]; docs/operating/certificates.md")
        };
    }
    let fault = match verify(shown, own, rest) {
        Err(Error::InvalidCertificate(fault)) => Some(fault),
        Err(error) => {
            return Finding::fail(Check::Certificate, format!("it can't be used: {error}")).next(RENEW);
        }
        Ok(()) => None,
    };
    match fault {
        // A name that nobody has was asked for where ours isn't known.
        Some(CertificateError::NotValidForNameContext { presented, .. }) if shown.host.is_none() => {
            in_time(shown, &names(&presented))
        }
        None => in_time(shown, shown.host.unwrap_or_default()),
        Some(fault) => faulty(shown, &fault),
    }
}

const RENEW: &str =
    "renew it, and put chain and key in place: they are read within 5 s; docs/operating/certificates.md";

fn verify(shown: &Shown<'_>, own: &CertificateDer<'_>, rest: &[CertificateDer<'_>]) -> Result<(), Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::clone(&shown.roots), provider)
        .build()
        .map_err(|error| Error::General(error.to_string()))?;
    let name = shown.host.unwrap_or(NOBODY).to_owned();
    let name =
        ServerName::try_from(name).map_err(|_| Error::General("the public name is none".to_owned()))?;
    let seconds = u64::try_from(shown.now.0.div_euclid(1_000)).unwrap_or_default();
    let now = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    verifier.verify_server_cert(own, rest, &name, &[], now).map(|_| ())
}

/// A chain that Meta takes today; `names` are those that it's for.
fn in_time(shown: &Shown<'_>, names: &str) -> Finding {
    let Some(ends) = ends(shown.chain) else {
        return Finding::fail(Check::Certificate, "it doesn't say how long it's valid").next(RENEW);
    };
    let days = ends.0.saturating_sub(shown.now.0).div_euclid(DAY_MS);
    let left = words::days(days.unsigned_abs());
    let words = format!("for {names}, its chain complete; it ends in {left}");
    let finding = if days < WARN_DAYS {
        Finding::warn(Check::Certificate, words)
            .detail(
                "After that Meta refuses the box, and what customers write waits at Meta for days at most.",
            )
            .next(RENEW)
    } else {
        Finding::ok(Check::Certificate, words)
    };
    finding.fact("days_left", days)
}

fn faulty(shown: &Shown<'_>, fault: &CertificateError) -> Finding {
    let over = ends(shown.chain).filter(|ends| ends.0 <= shown.now.0);
    if let Some(ends) = over {
        let days = shown.now.0.saturating_sub(ends.0) / DAY_MS;
        let since = if days == 0 {
            "since today".to_owned()
        } else {
            format!("for {}", words::days(days.unsigned_abs()))
        };
        return Finding::fail(
            Check::Certificate,
            format!("over {since} ({}): Meta refuses it", ends.rfc3339_seconds()),
        )
        .next(RENEW);
    }
    if let CertificateError::NotValidForNameContext { presented, .. } = fault {
        let host = shown.host.unwrap_or_default();
        return Finding::fail(
            Check::Certificate,
            format!("it's for {}, and Meta calls {host}", names(presented)),
        )
        .next("get one for that name, or correct the callback URL");
    }
    if matches!(fault, CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. }) {
        return Finding::fail(Check::Certificate, "it isn't valid yet, by this box's clock")
            .next("see the line on the clock");
    }
    if matches!(fault, CertificateError::UnknownIssuer | CertificateError::BadSignature) {
        return if shown.chain.len() == 1 {
            Finding::fail(Check::Certificate, "its chain isn't complete: it comes alone, and Meta doesn't fetch what is missing")
                .next("use the file with the whole chain (certbot's fullchain.pem): the box's own certificate, then the intermediates")
        } else {
            Finding::fail(Check::Certificate, "it leads to no authority that Meta trusts")
                .detail("It comes from an authority of one's own, or the intermediates behind it are another's.")
                .next("get one of a public authority, and put its whole chain (certbot's fullchain.pem) in place")
        };
    }
    Finding::fail(Check::Certificate, format!("it can't be used: {fault}")).next(RENEW)
}

/// The names in a certificate, as the library shows them: `DnsName("box.example.com")`.
fn names(presented: &[String]) -> String {
    let plain = presented.iter().map(|name| name.split('"').nth(1).map_or_else(|| harmless(name), harmless));
    let mut names: Vec<String> = plain.take(NAMES_MAX).collect();
    if presented.len() > NAMES_MAX {
        names.push("more".to_owned());
    }
    if names.is_empty() { "no name".to_owned() } else { names.join(", ") }
}

#[cfg(test)]
pub(in super::super) mod tests {
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

    use super::super::super::finding::State;
    use super::*;

    /// 2026-11-22.
    const NOW: WallTime = WallTime(1_795_305_600_000);

    /// An authority, one that it vouches for, and a certificate for a name from that.
    pub(in super::super::super) struct Authority {
        roots: Arc<RootCertStore>,
        middle: CertificateDer<'static>,
        issuer: Issuer<'static, KeyPair>,
    }

    fn named(name: &str, authority: bool) -> CertificateParams {
        let mut parameters =
            CertificateParams::new(if authority { vec![] } else { vec![name.to_owned()] }).unwrap();
        parameters.distinguished_name.push(DnType::CommonName, name);
        if authority {
            parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        }
        parameters.not_before = rcgen::date_time_ymd(2026, 1, 1);
        parameters.not_after = rcgen::date_time_ymd(2035, 1, 1);
        parameters
    }

    impl Authority {
        pub(in super::super::super) fn new(name: &str) -> Self {
            let key = KeyPair::generate().unwrap();
            let root = named(name, true).self_signed(&key).unwrap();
            let root_issuer = Issuer::new(named(name, true), key);
            let key = KeyPair::generate().unwrap();
            let middle = named(&format!("{name} 2"), true).signed_by(&key, &root_issuer).unwrap();
            let mut roots = RootCertStore::empty();
            roots.add(root.der().clone()).unwrap();
            Self {
                roots: Arc::new(roots),
                middle: middle.der().clone(),
                issuer: Issuer::new(named(&format!("{name} 2"), true), key),
            }
        }

        /// For `box.example.com`, valid until `day`.
        fn own(&self, (year, month, day): (i32, u8, u8)) -> CertificateDer<'static> {
            let mut parameters = named("box.example.com", false);
            parameters.not_after = rcgen::date_time_ymd(year, month, day);
            let key = KeyPair::generate().unwrap();
            parameters.signed_by(&key, &self.issuer).unwrap().der().clone()
        }

        /// Each thing that can be wrong with a certificate, by a title.
        pub(in super::super::super) fn cases(&self) -> Vec<(&'static str, Finding)> {
            let good = (2027, 1, 24);
            let full = |day| vec![self.own(day), self.middle.clone()];
            let key = KeyPair::generate().unwrap();
            let alone = vec![named("localhost", false).self_signed(&key).unwrap().der().clone()];
            let other = Self::strange();
            let ours = Some("box.example.com");
            let case = |chain: &[CertificateDer<'static>], host, trial, seen| {
                judge(&Shown { chain, host, now: NOW, roots: Arc::clone(&self.roots), trial, seen })
            };
            let public = || Seen::Public;
            let hidden = Seen::Listener { unseen: Some("no answer within 5 s".to_owned()) };
            let early = judge(&Shown {
                chain: &full(good),
                host: ours,
                now: WallTime(0),
                roots: Arc::clone(&self.roots),
                trial: false,
                seen: public(),
            });
            vec![
                ("as it should be", case(&full(good), ours, false, public())),
                (
                    "the public name isn't known",
                    case(&full(good), None, false, Seen::Listener { unseen: None }),
                ),
                ("seen from inside", case(&full(good), ours, false, hidden)),
                ("the gateway isn't running", case(&full(good), ours, false, Seen::Files)),
                ("ends in 14 days", case(&full((2026, 12, 6)), ours, false, public())),
                ("ends in 13 days", case(&full((2026, 12, 5)), ours, false, public())),
                ("over", case(&full((2026, 11, 18)), ours, false, public())),
                ("not yet", early),
                ("another name", case(&full(good), Some("shop.example.com"), false, public())),
                ("without intermediates", case(&full(good)[..1], ours, false, public())),
                ("an authority of one's own", case(&other, ours, false, public())),
                ("self-signed, in public", case(&alone, ours, false, public())),
                ("self-signed, on loopback", case(&alone, None, true, Seen::Listener { unseen: None })),
                ("none", case(&[], ours, false, public())),
            ]
        }

        /// A chain of an authority that nobody trusts.
        fn strange() -> Vec<CertificateDer<'static>> {
            let strange = Self::new("Store");
            vec![strange.own((2027, 1, 24)), strange.middle]
        }
    }

    #[test]
    fn a_chain_is_judged_as_meta_would() {
        let expected = [
            (State::Ok, "for box.example.com, its chain complete; it ends in 63 days"),
            (State::Ok, "for box.example.com"),
            (State::Ok, "for box.example.com"),
            (State::Ok, "for box.example.com"),
            (State::Ok, "14 days"),
            (State::Warn, "13 days"),
            (State::Fail, "over for 4 days"),
            (State::Fail, "isn't valid yet"),
            (State::Fail, "it's for box.example.com, and Meta calls shop.example.com"),
            (State::Fail, "isn't complete"),
            (State::Fail, "no authority that Meta trusts"),
            (State::Fail, "self-signed"),
            (State::Warn, "self-signed"),
            (State::Fail, "none is shown"),
        ];
        let cases = Authority::new("Public").cases();
        assert_eq!(cases.len(), expected.len());
        for ((title, finding), (state, part)) in cases.iter().zip(expected) {
            assert_eq!(finding.state, state, "{title}: {finding:?}");
            assert!(finding.summary.contains(part), "{title}: {}", finding.summary);
            assert_eq!(finding.next.is_some(), state != State::Ok, "{title}");
        }
        assert_eq!(cases[5].1.facts["days_left"], 13);
    }
}
