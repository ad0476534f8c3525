//! What the way out has to say in the report.

use crate::report::{Goal, Section};

/// Tables: heading, the part of the command, lines.
pub(crate) const SECTIONS: &[Section] = &[
    (
        "Queueing a message beside taking in a webhook",
        "sending",
        &[
            ("messages/s queued, saturated", QUEUE, RATE, Goal::None),
            ("webhooks/s, TLS, saturated", TLS, RATE, Goal::None),
            ("webhooks/s, plain HTTP, saturated", PLAIN, RATE, Goal::None),
            ("messages/s over webhooks/s, TLS", RATIO, "acked_per_second_of_tls", Goal::AtLeast(1.0)),
            ("messages/s over webhooks/s, plain HTTP", RATIO, "acked_per_second_of_plain", Goal::None),
            ("CPU s per 10,000 messages, saturated", QUEUE, CPU, Goal::None),
            ("CPU s per 10,000 webhooks, TLS, saturated", TLS, CPU, Goal::None),
            ("CPU s per 10,000 webhooks, plain HTTP, saturated", PLAIN, CPU, Goal::None),
            ("CPU s per 10,000 messages, 200/s", "sending/queue/200", CPU, Goal::None),
            ("CPU s per 10,000 webhooks, TLS, 200/s", "sending/webhooks/200", CPU, Goal::None),
            ("messages per transaction, saturated", QUEUE, TURN, Goal::None),
            ("202 after, 200/s, p50 ms", "sending/queue/200", "ack_p50_ms", Goal::None),
            ("over that of a webhook, TLS", "sending/ratio/200", "ack_p50_ms_of_tls", Goal::AtMost(1.0)),
            ("over that of a webhook, plain HTTP", "sending/ratio/200", "ack_p50_ms_of_plain", Goal::None),
            ("202 after, 200/s, p99 ms", "sending/queue/200", "ack_p99_ms", Goal::None),
            ("over that of a webhook, TLS", "sending/ratio/200", "ack_p99_ms_of_tls", Goal::AtMost(1.0)),
            ("RSS at the end of saturation, MiB", QUEUE, "rss_loaded_mib", Goal::None),
        ],
    ),
    (
        "The same behind a flush of 10 ms, as on a card",
        "sending",
        &[
            ("messages/s queued, saturated", "sending/queue-slow/saturated", RATE, Goal::None),
            ("webhooks/s, TLS, saturated", "sending/webhooks-slow/saturated", RATE, Goal::None),
            ("messages/s over webhooks/s", RATIO, "acked_per_second_of_slow", Goal::AtLeast(0.9)),
            ("messages per transaction, saturated", "sending/queue-slow/saturated", TURN, Goal::None),
            ("202 after, 200/s, p50 ms", "sending/queue-slow/200", "ack_p50_ms", Goal::None),
            ("over that of a webhook", "sending/ratio/200", "ack_p50_ms_of_slow", Goal::AtMost(1.1)),
            ("202 after, 200/s, p99 ms", "sending/queue-slow/200", "ack_p99_ms", Goal::None),
            ("over that of a webhook", "sending/ratio/200", "ack_p99_ms_of_slow", Goal::AtMost(1.1)),
        ],
    ),
    (
        "Draining at 80 messages a second",
        "sending",
        &[
            ("messages/s, as Graph saw them", DRAIN, "messages_per_second", Goal::AtLeast(EVEN)),
            ("the most in any second", DRAIN, "most_in_a_second", Goal::AtMost(80.0)),
            ("% of a core, with three status webhooks a message taken in, too", DRAIN, CORE, Goal::None),
            ("% of a core, calls and the CRM's records alone", CALLS, CORE, Goal::AtMost(10.0)),
            ("transactions per message", DRAIN, "turns_per_message", Goal::None),
            ("group commits per message, statuses with it", DRAIN, "groups_per_message", Goal::None),
            ("calls at once, at most", DRAIN, "calls_at_once", Goal::AtMost(8.0)),
            ("flash bytes per message", "sending/drain-bytes", "bytes_per_message", Goal::None),
        ],
    ),
    (
        "A backlog of 100,000 messages",
        "sending",
        &[
            ("messages/s queued", "sending/backlog/many", "messages_per_second", Goal::None),
            ("RSS with 100, MiB", "sending/backlog/few", RSS, Goal::None),
            ("RSS with 100,000, MiB", "sending/backlog/many", RSS, Goal::None),
            ("RSS with 100, after a start, MiB", "sending/start/few", RSS, Goal::None),
            ("RSS with 100,000, after a start, MiB", "sending/start/many", RSS, Goal::None),
            ("more than with 100, after a start, MiB", "sending/start/more", RSS, Goal::AtMost(NOISE)),
            ("ready after SIGKILL and a start with 100, ms", "sending/start/few", "ready_ms", Goal::None),
            ("ready with 100,000, ms", "sending/start/many", "ready_ms", Goal::AtMost(200.0)),
        ],
    ),
];

const QUEUE: &str = "sending/queue/saturated";
const TLS: &str = "sending/webhooks/saturated";
const PLAIN: &str = "sending/webhooks-plain/saturated";
const RATIO: &str = "sending/ratio/saturated";
const DRAIN: &str = "sending/drain";
const CALLS: &str = "sending/drain-calls";
const RATE: &str = "acked_per_second";
const CPU: &str = "cpu_s_per_10k";
const CORE: &str = "core_percent";
const RSS: &str = "rss_mib";
const TURN: &str = "messages_per_turn";
/// No second may see an 81st, whenever each arrives: so 80 go in a second, a millisecond for the clocks and the time of a
/// call, which make 79 and a half a second with a Graph that answers at once.
const EVEN: f64 = 79.0;
/// By so many MiB the memory of one and the same start differs.
const NOISE: f64 = 1.0;
