//! What the tests share: a site with its configuration, the running program, the two stand-ins, and
//! the comparison of what they saw.

mod advisor;
mod api;
mod appliance;
mod faketime;
mod feed;
pub(crate) mod front;
mod ledger;
mod log;
mod pebble;
mod program;
pub(crate) mod sending;
mod site;
mod tls;
mod whatsapp;

use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

pub(crate) use self::advisor::Advisor;
pub(crate) use self::api::Api;
pub(crate) use self::appliance::Appliance;
pub(crate) use self::faketime::{Faketime, true_time};
pub(crate) use self::feed::Feed;
pub(crate) use self::ledger::Ledger;
pub(crate) use self::pebble::{Pebble, plain};
pub(crate) use self::program::{program, wagate};
pub(crate) use self::site::{API_TOKEN, Site, VERIFY_TOKEN, port};
pub(crate) use self::tls::{accept_any, connect, peer_certificate};
pub(crate) use self::whatsapp::{Load, Poster, secret, words};

use simulate::crm::{Crm, CrmOptions, Keep};

/// Far beyond what a right run takes on two busy cores; what waits longer has failed.
pub(crate) const LONG: Duration = Duration::from_secs(60);
/// Between two looks at a condition.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Runs a test on threads of its own, and ends it when it hangs.
pub(crate) fn run<F: Future<Output = ()>>(test: F) {
    run_within(Duration::from_secs(170), test);
}

/// Who needs the machine for itself holds this alone.
static MACHINE: RwLock<()> = RwLock::new(());

/// The same with another patience.
pub(crate) fn run_within<F: Future<Output = ()>>(patience: Duration, test: F) {
    let _shared = MACHINE.read().unwrap_or_else(PoisonError::into_inner);
    run_now(patience, test);
}

/// The same while no other test runs: seconds are measured.
pub(crate) fn run_alone<F: Future<Output = ()>>(patience: Duration, test: F) {
    let _alone = MACHINE.write().unwrap_or_else(PoisonError::into_inner);
    run_now(patience, test);
}

fn run_now<F: Future<Output = ()>>(patience: Duration, test: F) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(patience, test).await.expect("the test hangs") });
}

/// Looks until `condition` gives something.
pub(crate) async fn eventually<T>(what: &str, condition: impl AsyncFnMut() -> Option<T>) -> T {
    within(LONG, what, condition).await
}

/// The same with another patience.
pub(crate) async fn within<T>(
    patience: Duration,
    what: &str,
    mut condition: impl AsyncFnMut() -> Option<T>,
) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = condition().await {
            return found;
        }
        assert!(start.elapsed() < patience, "waited {patience:?} in vain: {what}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// The store's own secret towards its CRM.
pub(crate) const CRM_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A CRM that is strict about signatures and shapes; about time only where `strict_time`.
pub(crate) fn crm(keep: Keep, strict_time: bool) -> Crm {
    let mut options = CrmOptions::new("127.0.0.1:0".parse().unwrap());
    options.signing_secrets =
        vec![model::signature::standard_webhooks::SigningSecret::parse(CRM_SECRET).unwrap()];
    options.keep = keep;
    if !strict_time {
        options.tolerance = None;
    }
    Crm::start(options).unwrap()
}

/// A seed for chance; printed, and taken from `WAGATE_SEED` where that is set.
pub(crate) fn seed(test: &str) -> u64 {
    let given = std::env::var("WAGATE_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(|| {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        u64::from(since.subsec_nanos()) ^ u64::from(std::process::id()) << 32
    });
    println!("{test}: WAGATE_SEED={seed}");
    seed
}

/// Something that a test needs isn't there: it is skipped, loudly, but never in CI.
pub(crate) fn skip(test: &str, why: &str) {
    let is_ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
    assert!(!is_ci, "CI must be able to run {test}: {why}");
    println!("SKIPPED: {}: {why}", test.to_uppercase());
}
