//! What the tests share: disks, machines in QEMU, bundles, and the world around the box.

pub(crate) mod blocklog;
pub(crate) mod bundle;
mod client;
pub(crate) mod disk;
mod env;
pub(crate) mod fat;
mod images;
pub(crate) mod later;
pub(crate) mod load;
mod machine;
mod monitor;
pub(crate) mod power_cut;
mod serial;
pub(crate) mod shop;
pub(crate) mod tools;
pub(crate) mod web;

use std::time::{Duration, Instant};

pub(crate) use self::bundle::hex;
pub(crate) use self::client::{Client, page};
pub(crate) use self::images::{Images, Variant, image_of, images, program};
pub(crate) use self::load::Load;
pub(crate) use self::machine::{Firmware, Machine, Setup};
pub(crate) use self::shop::Shop;
pub(crate) use self::tools::raspberry_pi_3;

/// From power-on to an answer. Twenty seconds on an idle machine of two cores; all of it is emulated.
pub(crate) const BOOT: Duration = Duration::from_secs(150);
/// What a running box does by itself within seconds.
pub(crate) const LONG: Duration = Duration::from_secs(60);
/// Between two looks at a condition.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Runs a test, and ends it when it hangs; skips it where what it needs isn't there.
pub(crate) fn run<F: Future<Output = ()>>(name: &str, patience: Duration, test: impl FnOnce() -> F) {
    if let Err(why) = tools::all_there() {
        skip(name, &why);
        return;
    }
    let start = Instant::now();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(patience, test()).await.expect("the test hangs") });
    println!("{name}: {:.0} s", start.elapsed().as_secs_f64());
}

/// Something that a test needs isn't there: it is skipped, loudly, but never in CI.
pub(crate) fn skip(test: &str, why: &str) {
    let is_ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
    assert!(!is_ci, "CI must be able to run {test}: {why}");
    println!("SKIPPED: {}: {why}", test.to_uppercase());
}

/// Looks until `condition` gives something.
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

/// Bytes that are nothing.
pub(crate) fn random_bytes(count: usize) -> Vec<u8> {
    use ring::rand::SecureRandom as _;
    let mut bytes = vec![0; count];
    ring::rand::SystemRandom::new().fill(&mut bytes).unwrap();
    bytes
}
