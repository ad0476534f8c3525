//! Asking one time server.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use egress::Names;
use rsntp::{AsyncSntpClient, Config, KissCode, ProtocolError, SynchronizationError, SynchronizationResult};
use tokio::time::timeout;

use super::judge::Answer;
use crate::config::TimeServer;

/// How long an answer is waited for: the far side of the world and a busy line.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);
/// And the address of a name.
const NAME_WITHIN: Duration = Duration::from_secs(10);
/// An answer that was longer on its way says too little.
const DELAY_MAX_MS: i64 = 2_000;

/// What came of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Heard {
    /// A time.
    Time(Answer),
    /// It wants to be left alone (kiss-of-death, RFC 5905, section 7.4).
    Kiss(KissCode),
    /// The question never left: no name, no way.
    Unsent(String),
    /// No answer.
    Silent,
    /// An answer that is none: not synchronised, to another question, too late.
    Strange(String),
}

impl Heard {
    /// As a label of metrics.
    pub(crate) const fn label(&self) -> &'static str {
        match self {
            Self::Time(_) => "answered",
            Self::Kiss(_) => "resting",
            Self::Unsent(_) => "unsent",
            Self::Silent => "silent",
            Self::Strange(_) => "strange",
        }
    }
}

/// Asks the server at `place` once.
pub(crate) async fn ask(names: &Names, place: &TimeServer) -> Heard {
    let address = match address(names, &place.host).await {
        Ok(address) => SocketAddr::new(address, place.port),
        Err(why) => return Heard::Unsent(why),
    };
    let any: IpAddr =
        if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let config = Config::default().bind_address(SocketAddr::new(any, 0)).timeout(ANSWER_WITHIN);
    match AsyncSntpClient::with_config(config).synchronize(address).await {
        Ok(result) => read(&result),
        Err(SynchronizationError::IOError(error)) => {
            let silent = matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::ConnectionRefused);
            if silent { Heard::Silent } else { Heard::Unsent(error.to_string()) }
        }
        Err(SynchronizationError::ProtocolError(ProtocolError::KissODeath(code))) => Heard::Kiss(code),
        Err(SynchronizationError::ProtocolError(error)) => Heard::Strange(error.to_string()),
    }
}

async fn address(names: &Names, host: &str) -> Result<IpAddr, String> {
    if let Ok(address) = host.parse() {
        return Ok(address);
    }
    let found = timeout(NAME_WITHIN, names.look_up(host))
        .await
        .map_err(|_| "no name server answers".to_owned())??;
    // What has only an address of IPv6 is asked there; else the older way, which more of them have.
    found
        .iter()
        .find(|address| address.is_ipv4())
        .or(found.first())
        .copied()
        .ok_or_else(|| "it has no address".to_owned())
}

fn read(result: &SynchronizationResult) -> Heard {
    let ms = |seconds: f64| {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a float that is too large becomes the largest integer"
        )]
        let ms = (seconds * 1_000.0).round() as i64;
        ms
    };
    let delay_ms = ms(result.round_trip_delay().as_secs_f64());
    // Below 0 where the clock was set while the answer was on its way.
    if !(-DELAY_MAX_MS..=DELAY_MAX_MS).contains(&delay_ms) {
        return Heard::Strange(format!("the answer was {delay_ms} ms on its way"));
    }
    Heard::Time(Answer { offset_ms: ms(result.clock_offset().as_secs_f64()), delay_ms })
}
