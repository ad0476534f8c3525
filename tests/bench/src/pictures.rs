//! Which plots there are, and what stands in them.

use crate::plot::{Panel, Row, Span, draw};
use crate::results::Results;
use crate::server::Kind;

/// The plots, by file name.
pub(crate) fn plots(results: &Results) -> Vec<(&'static str, String)> {
    let panel = |title: &str, unit, logarithmic, rows: &[(&str, &str, &str, Option<f64>)]| {
        let rows = rows.iter().map(|(name, phase, figure, target)| Row {
            name: (*name).to_owned(),
            wagate: Span::of(results.rounds(phase, Kind::Wagate, figure).into_values()),
            peer: Span::of(results.rounds(phase, Kind::Peer, figure).into_values()),
            target: *target,
        });
        let rows: Vec<Row> = rows.filter(|row| row.wagate.is_some() || row.peer.is_some()).collect();
        (!rows.is_empty()).then(|| Panel { title: title.to_owned(), unit, logarithmic, rows })
    };
    let pictures = [
        (
            "throughput.svg",
            "Webhooks over 32 TLS connections, saturated",
            vec![
                panel(
                    "Acknowledged, and at the CRM",
                    "per second",
                    false,
                    &[
                        ("acknowledged", "path/saturated", "acked_per_second", None),
                        ("records at the CRM", "path/saturated", "delivered_per_second", None),
                        ("flush +10 ms, acked", "slow-disk/saturated", "acked_per_second", Some(2_000.0)),
                    ],
                ),
                panel(
                    "Processor time of the server",
                    "seconds per 10,000 webhooks",
                    false,
                    &[
                        ("saturated", "path/saturated", "cpu_s_per_10k", None),
                        ("1,000/s", "path/1000", "cpu_s_per_10k", None),
                        ("200/s", "path/200", "cpu_s_per_10k", None),
                    ],
                ),
            ],
        ),
        (
            "latency.svg",
            "From when a webhook should have gone out",
            vec![
                panel(
                    "to its 200",
                    "ms (logarithmic)",
                    true,
                    &[
                        ("200/s, p50", "path/200", "ack_p50_ms", None),
                        ("200/s, p99", "path/200", "ack_p99_ms", None),
                        ("1,000/s, p50", "path/1000", "ack_p50_ms", None),
                        ("1,000/s, p99", "path/1000", "ack_p99_ms", None),
                        ("200/s, flush +10 ms, p50", "slow-disk/200", "ack_p50_ms", None),
                        ("200/s, flush +10 ms, p99", "slow-disk/200", "ack_p99_ms", None),
                    ],
                ),
                panel(
                    "to its record at the CRM",
                    "ms (logarithmic)",
                    true,
                    &[
                        ("200/s, p50", "path/200", "crm_p50_ms", Some(1.0)),
                        ("200/s, p99", "path/200", "crm_p99_ms", None),
                        ("1,000/s, p50", "path/1000", "crm_p50_ms", None),
                        ("1,000/s, p99", "path/1000", "crm_p99_ms", None),
                    ],
                ),
            ],
        ),
        (
            "wear.svg",
            "What one webhook of 683 bytes writes to flash",
            vec![panel(
                "By the counter of a device of its own",
                "bytes per webhook",
                false,
                &[
                    ("1/s", "wear/1", "bytes_per_webhook", Some(6_000.0)),
                    ("200/s", "wear/200", "bytes_per_webhook", Some(6_000.0)),
                    ("saturated", "wear/saturated", "bytes_per_webhook", Some(1_024.0)),
                ],
            )],
        ),
        (
            "memory.svg",
            "Memory, and the start after SIGKILL",
            vec![
                panel(
                    "Resident",
                    "MiB",
                    false,
                    &[
                        ("idle", "path/saturated", "rss_idle_mib", Some(12.0)),
                        ("saturated", "path/saturated", "rss_loaded_mib", Some(32.0)),
                        ("1,000,000 wait", "backlog/start", "rss_mib", Some(48.0)),
                        ("they drain, at most", "backlog/drain", "rss_peak_mib", Some(48.0)),
                    ],
                ),
                panel(
                    "First 200 after SIGKILL and a start",
                    "ms",
                    false,
                    &[
                        ("empty store", "backlog/empty", "ready_ms", None),
                        ("1,000,000 wait", "backlog/start", "ready_ms", Some(200.0)),
                    ],
                ),
            ],
        ),
    ];
    let mut plots = Vec::new();
    for (file, heading, panels) in pictures {
        let panels: Vec<Panel> = panels.into_iter().flatten().collect();
        if !panels.is_empty() {
            plots.push((file, draw(heading, &panels)));
        }
    }
    plots
}
