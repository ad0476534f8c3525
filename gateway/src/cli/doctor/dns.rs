//! Whether the names that the box needs have addresses.

use std::time::Duration;

use futures_util::future::join_all;
use reqwest::Url;
use tokio::net::lookup_host;
use tokio::time::{Instant, timeout};

use super::finding::{Check, Finding};
use super::world::{ANSWER_WITHIN, World};
use crate::config::Config;
use crate::demo::text::time;

/// A look-up that takes longer is felt: each new connection waits so long.
const SLOW: Duration = Duration::from_secs(1);

pub(super) async fn check(world: &World) -> Vec<Finding> {
    let hosts = hosts(&world.config);
    if hosts.is_empty() {
        return vec![Finding::skip(Check::Dns, "no names to look up: the configuration has addresses only")];
    }
    join_all(hosts.into_iter().map(|(host, whose)| async move {
        let begun = Instant::now();
        // The system's own look-up: the box asks hosts file and DNS servers by itself, which `egress`
        // keeps for connections alone. Where the two differ, the lines on the endpoints tell.
        let found = match timeout(ANSWER_WITHIN, lookup_host((host.as_str(), 0))).await {
            Ok(Ok(addresses)) => Found::Addresses(addresses.count()),
            Ok(Err(_)) => Found::Unknown,
            Err(_) => Found::Silent,
        };
        judge(&host, whose, found, begun.elapsed())
    }))
    .await
}

/// What a look-up gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    Addresses(usize),
    Unknown,
    Silent,
}

/// Whose name it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// An endpoint's.
    Theirs,
    /// The one that Meta calls.
    Ours,
}

fn hosts(config: &Config) -> Vec<(String, Whose)> {
    let endpoints = config.whatsapp.endpoints.iter().map(|endpoint| &endpoint.url);
    let urls = endpoints.chain(config.crm.endpoints.iter().map(|endpoint| &endpoint.url));
    let mut hosts: Vec<(String, Whose)> = Vec::new();
    let mut add = |url: &Url, whose| {
        if let Some(host) = url.domain().map(str::to_owned)
            && !hosts.iter().any(|(known, _)| *known == host)
        {
            hosts.push((host, whose));
        }
    };
    urls.for_each(|url| add(url, Whose::Theirs));
    if let Some(url) = config.public_url() {
        add(url, Whose::Ours);
    }
    hosts
}

/// `took` is how long the answer, or the want of one, took.
pub(super) fn judge(host: &str, whose: Whose, found: Found, took: Duration) -> Finding {
    let finding = match (found, whose) {
        (Found::Addresses(0) | Found::Unknown, Whose::Ours) => {
            Finding::fail(Check::Dns, "not known, so that Meta can't find the box")
                .next("make an A (or AAAA) record for it that leads to the store's public address")
        }
        (Found::Addresses(0) | Found::Unknown, Whose::Theirs) => {
            Finding::fail(Check::Dns, "not known, or without an address").next(
                "correct the endpoint's url, or the network's DNS; `resolvectl query` asks for one name",
            )
        }
        (Found::Silent, _) => {
            Finding::fail(Check::Dns, format!("no DNS server answers within {} s", ANSWER_WITHIN.as_secs()))
                .next("check cable and router; `resolvectl status` shows which servers are asked")
        }
        (Found::Addresses(many), _) => {
            let words = format!("{} in {}", count_addresses(many), time(took));
            if took > SLOW {
                Finding::warn(Check::Dns, words)
                    .detail("Each new connection waits so long.")
                    .next("have the router ask a nearer DNS server")
            } else {
                Finding::ok(Check::Dns, words)
            }
        }
    };
    finding.about(host).latency(took)
}

fn count_addresses(many: usize) -> String {
    if many == 1 { "1 address".to_owned() } else { format!("{many} addresses") }
}

#[cfg(test)]
mod tests {
    use super::super::finding::State;
    use super::*;

    #[test]
    fn a_name_with_addresses_is_well_unless_it_takes_long() {
        for (found, took_ms, state) in [
            (Found::Addresses(2), 12, State::Ok),
            (Found::Addresses(1), 1_000, State::Ok),
            (Found::Addresses(1), 1_001, State::Warn),
            (Found::Addresses(0), 1, State::Fail),
            (Found::Unknown, 1, State::Fail),
            (Found::Silent, 5_000, State::Fail),
        ] {
            for whose in [Whose::Theirs, Whose::Ours] {
                let finding = judge("box.example.com", whose, found, Duration::from_millis(took_ms));
                assert_eq!(finding.state, state, "{found:?}");
                assert_eq!(finding.next.is_some(), state != State::Ok);
            }
        }
    }
}
