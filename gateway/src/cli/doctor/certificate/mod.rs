//! The certificate that Meta sees.

mod acme;
pub(super) mod clients;
mod judge;
mod look;

use std::net::SocketAddr;
use std::sync::Arc;

use ingress::{Source, not_after};
use reqwest::Url;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tokio::net::lookup_host;
use tokio::time::timeout;

#[cfg(test)]
pub(super) use judge::tests::Authority;
use judge::{Seen, Shown, judge};
#[cfg(test)]
pub(super) use look::tests::showing;

use super::finding::{Check, Finding};
use super::world::{ANSWER_WITHIN, Gateway, World};
use crate::app::acme::kept_chain;
use crate::cli::target;
use crate::clock;
use crate::config::Tls;

type Chain = Vec<CertificateDer<'static>>;

pub(super) async fn check(world: &World) -> Vec<Finding> {
    let shown = of_listener(world).await;
    [shown].into_iter().chain(clients::check(world)).collect()
}

async fn of_listener(world: &World) -> Finding {
    let Gateway::Runs(status) = world.gateway().await else { return look_at(world).await };
    match acme::Told::of(status) {
        Some(told) => match told.without_any() {
            Some(none) => none,
            None => told.amend(look_at(world).await),
        },
        None => look_at(world).await,
    }
}

async fn look_at(world: &World) -> Finding {
    let webhook = &world.config.webhook;
    let url = world.config.public_url();
    let host = url.and_then(Url::host_str);
    if webhook.tls == Tls::Off && url.is_none() {
        return Finding::skip(Check::Certificate, "`webhook.tls` is off: a relay does TLS, with a certificate of its own")
            .next("write the box's public address into the configuration to have it looked at: `public_url` in [webhook]");
    }
    let listener = if webhook.tls == Tls::Off { None } else { target::from_here(webhook.listen) };
    let (public, local) = futures_util::future::join(
        async {
            match url {
                Some(url) => Some(of_public(url).await),
                None => None,
            }
        },
        async {
            match listener {
                Some(address) => Some(of_address(address, host.unwrap_or_default()).await),
                None => None,
            }
        },
    )
    .await;
    let shown = |chain: &Chain, seen: Seen| {
        judge(&Shown {
            chain,
            host,
            now: clock::now(),
            roots: roots(),
            trial: webhook.tls == Tls::SelfSigned && webhook.listen.ip().is_loopback(),
            seen,
        })
    };
    match (&public, &local) {
        (Some(Ok(chain)), _) => shown(chain, Seen::Public),
        (Some(Err(why)), Some(Ok(chain))) => shown(chain, Seen::Listener { unseen: Some(why.clone()) }),
        (None, Some(Ok(chain))) => shown(chain, Seen::Listener { unseen: None }),
        (_, Some(Err(why))) if matches!(world.gateway().await, Gateway::Runs(_)) => Finding::fail(
            Check::Certificate,
            format!("the gateway runs, and its public listener at {} shows none: {why}", webhook.listen),
        )
        .next("`journalctl -u wagate`, and `systemctl restart wagate`"),
        (Some(Err(why)), None) => Finding::warn(
            Check::Certificate,
            format!("the public address can't be looked at from here: {why}"),
        )
        .next("look at it from outside, such as a phone without Wi-Fi"),
        _ => without_listener(world, shown),
    }
}

/// What can be said while the gateway doesn't run.
fn without_listener(world: &World, shown: impl Fn(&Chain, Seen) -> Finding) -> Finding {
    if let Tls::Acme(_) = &world.config.webhook.tls {
        let chain = kept_chain(&world.config.store.path).and_then(|pem| {
            let chain = CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<Chain, _>>();
            chain.map_err(|error| error.to_string())
        });
        return match chain {
            Ok(chain) => shown(&chain, Seen::Files),
            Err(why) => acme::not_kept(&why),
        };
    }
    let Tls::Files { certificate, key, ocsp } = &world.config.webhook.tls else {
        return Finding::skip(
            Check::Certificate,
            "the gateway isn't running, so its certificate can't be seen",
        );
    };
    // The very reader of a start; of files it changes nothing.
    let source = Source::Files { certificate: certificate.clone(), key: key.clone(), ocsp: ocsp.clone() };
    if let Err(error) = ingress::Tls::open(&source) {
        return Finding::fail(Check::Certificate, error.to_string())
            .detail("With these files wagate doesn't start.")
            .next("put certificate and key in place, readable by the user that wagate runs as; docs/operating/certificates.md");
    }
    match CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect::<Result<Chain, _>>) {
        Ok(chain) => shown(&chain, Seen::Files),
        Err(error) => {
            Finding::fail(Check::Certificate, format!("the certificate file can't be read: {error}"))
                .next("put it in place, readable by the user that wagate runs as")
        }
    }
}

/// What Meta finds: the name's first address, as it is from here.
async fn of_public(url: &Url) -> Result<Chain, String> {
    let host = url.host_str().unwrap_or_default();
    let port = url.port_or_known_default().unwrap_or(443);
    let found = timeout(ANSWER_WITHIN, lookup_host((host, port))).await;
    let address = found.ok().and_then(Result::ok).and_then(|mut addresses| addresses.next());
    of_address(address.ok_or("its name can't be resolved")?, host).await
}

async fn of_address(address: SocketAddr, host: &str) -> Result<Chain, String> {
    let host = host.to_owned();
    let looked = tokio::task::spawn_blocking(move || look::look(address, &host));
    match timeout(ANSWER_WITHIN, looked).await {
        Ok(Ok(chain)) => chain,
        Ok(Err(_)) | Err(_) => Err(format!("no answer within {} s", ANSWER_WITHIN.as_secs())),
    }
}

/// Mozilla's roots, which are near enough to Meta's; not the system's, to which a shop may have added.
fn roots() -> Arc<RootCertStore> {
    Arc::new(RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() })
}

/// Until when each of the chain is valid, the soonest end.
fn ends(chain: &[CertificateDer<'_>]) -> Option<model::WallTime> {
    chain.iter().filter_map(|one| not_after(one)).min()
}
