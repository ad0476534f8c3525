//! What the program says about itself while it runs: the one place that installs a subscriber.
//!
//! The libraries only use the macros of `tracing`. Levels: ERROR data was lost or a person is
//! needed; WARN unusual, and dealt with; INFO a change of state that an operator cares about;
//! DEBUG a decision; TRACE every message. What the network can trigger again and again goes
//! through a [`Throttle`].

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt;
use tracing_subscriber::fmt::time::SystemTime;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::{Log, LogFormat, LogLevel};
use crate::out;

/// The variable that wins over `log.level`; it takes directives too, `info,wagate_egress=debug`.
pub const LEVEL_VARIABLE: &str = "WAGATE_LOG";

/// Sends everything that is logged to stderr, as `log` says. A second call does nothing.
pub fn install(log: Log) {
    let directives = std::env::var(LEVEL_VARIABLE).ok().filter(|text| !text.trim().is_empty());
    let (filter, refused) = filter(log, directives.as_deref());
    let lines = fmt::layer().with_writer(std::io::stderr).with_timer(SystemTime);
    let subscriber = tracing_subscriber::registry().with(filter);
    let result = if is_json(log.format, std::io::stderr().is_terminal()) {
        let lines = lines.json().flatten_event(true).with_current_span(true).with_span_list(false);
        subscriber.with(lines).try_init()
    } else {
        subscriber.with(lines.with_ansi(out::talk_colour())).try_init()
    };
    if result.is_ok() && refused {
        tracing::warn!("{LEVEL_VARIABLE} can't be understood; the configured level is used");
    }
}

/// Sends everything that is logged to `lines`, in lines for people, from INFO on unless the environment says
/// otherwise. A second call does nothing.
pub fn install_into<W>(lines: W)
where
    W: for<'w> fmt::MakeWriter<'w> + Send + Sync + 'static,
{
    let directives = std::env::var(LEVEL_VARIABLE).ok().filter(|text| !text.trim().is_empty());
    let log = Log { format: LogFormat::Human, level: LogLevel::Info };
    let (filter, _) = filter(log, directives.as_deref());
    let lines = fmt::layer().with_writer(lines).with_timer(SystemTime).with_ansi(false);
    let _ = tracing_subscriber::registry().with(filter).with(lines).try_init();
}

/// What is let through, and whether `directives` had to be ignored.
fn filter(log: Log, directives: Option<&str>) -> (Targets, bool) {
    let configured = || {
        let level = level(log.level);
        let targets = Targets::new().with_default(level);
        // At WARN it has a line for each connection on which a stranger floods it.
        if level >= LevelFilter::DEBUG { targets } else { targets.with_target("h2", LevelFilter::ERROR) }
    };
    match directives.map(str::parse) {
        Some(Ok(filter)) => (filter, false),
        Some(Err(_)) => (configured(), true),
        None => (configured(), false),
    }
}

const fn level(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}

const fn is_json(format: LogFormat, terminal: bool) -> bool {
    match format {
        LogFormat::Auto => !terminal,
        LogFormat::Human => false,
        LogFormat::Json => true,
    }
}

/// Lets one line of a kind through per interval, and counts the rest.
///
/// A kind is a word in the code, so there are never more of them than places that ask.
///
/// ```ignore
/// if let Some(left_out) = throttle.admit("wrong_signature", Instant::now()) {
///     tracing::warn!(left_out, "webhooks with a wrong signature");
/// }
/// ```
#[derive(Debug)]
pub struct Throttle {
    interval: Duration,
    kinds: Vec<Kind>,
}

#[derive(Debug)]
struct Kind {
    name: &'static str,
    said_at: Instant,
    left_out: u64,
}

impl Throttle {
    /// One line of each kind per `interval`.
    #[must_use]
    pub const fn new(interval: Duration) -> Self {
        Self { interval, kinds: Vec::new() }
    }

    /// Whether a line of this kind may be written now: then with the number of those that were
    /// left out since the last one. A `now` before the last one counts as the same moment.
    pub fn admit(&mut self, kind: &'static str, now: Instant) -> Option<u64> {
        match self.kinds.iter_mut().find(|known| known.name == kind) {
            None => {
                self.kinds.push(Kind { name: kind, said_at: now, left_out: 0 });
                Some(0)
            }
            Some(known) if now.saturating_duration_since(known.said_at) >= self.interval => {
                known.said_at = now;
                Some(std::mem::take(&mut known.left_out))
            }
            Some(known) => {
                known.left_out = known.left_out.saturating_add(1);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_of_a_kind_per_interval_and_the_rest_is_counted() {
        let mut throttle = Throttle::new(Duration::from_secs(10));
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(throttle.admit("a", at(0)), Some(0));
        assert_eq!(throttle.admit("a", at(1)), None);
        assert_eq!(throttle.admit("b", at(1)), Some(0), "kinds don't share an interval");
        assert_eq!(throttle.admit("a", at(9)), None);
        assert_eq!(throttle.admit("a", at(10)), Some(2));
        assert_eq!(throttle.admit("a", at(5)), None, "time that goes back opens nothing");
        assert_eq!(throttle.admit("a", at(25)), Some(1));
        assert_eq!(throttle.admit("a", at(60)), Some(0));
    }

    #[test]
    fn the_environment_wins_over_the_configuration_where_it_makes_sense() {
        let log = Log { format: LogFormat::Auto, level: LogLevel::Warn };
        for (directives, shown, refused) in [
            (None, "h2=error,warn", false),
            (Some("debug"), "debug", false),
            (Some("info,wagate=trace"), "wagate=trace,info", false),
            (Some("wagate=loud"), "h2=error,warn", true),
        ] {
            let (filter, was_refused) = filter(log, directives);
            assert_eq!((filter.to_string().as_str(), was_refused), (shown, refused), "{directives:?}");
        }
        let log = Log { level: LogLevel::Debug, ..log };
        assert_eq!(filter(log, None).0.to_string(), "debug", "who asks for everything gets everything");
    }

    #[test]
    fn auto_is_human_on_a_terminal_only() {
        assert!(is_json(LogFormat::Auto, false) && !is_json(LogFormat::Auto, true));
        assert!(is_json(LogFormat::Json, true) && !is_json(LogFormat::Human, false));
    }
}
