//! The stand-ins over real sockets on loopback.

#![expect(clippy::unwrap_used, reason = "a helper's panic is the test's failure")]

mod answers;
mod crm;
mod crm_probes;
mod gateway;
mod graph;
mod graph_account;
mod graph_calls;
mod graph_doors;
mod graph_trouble;
mod proxy;
mod sender;
mod together;

use std::time::Duration;

/// Far beyond what a right run takes; a test that reaches it has failed.
const LONG: Duration = Duration::from_secs(20);

/// Runs a test on threads as the program does, and ends it when it hangs.
fn run<F: Future<Output = ()>>(test: F) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(LONG, test).await.expect("the test hangs") });
}
