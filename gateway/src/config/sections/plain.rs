//! `[store]`, `[costs]`, `[clock]` and `[log]`.

use super::super::reader::Section;
use super::super::types::{Clock, Costs, Log, LogFormat, LogLevel, Store, TIME_SERVERS_MAX, TimeServer};
use super::super::values::{self, Fault};
use super::path;

/// What a disk writes at least; segments of the intake log are made of it.
const BLOCK: u64 = 4096;

pub(super) fn store(section: &Section<'_>) -> Option<Store> {
    let path = path(section, "path");
    let max_size = section.read("max_size", values::size);
    let history = section.read("history", values::time);
    let log_segment = section.read("log_segment", values::size);
    let log_segments = section.read("log_segments", values::integer);
    if log_segment.is_some_and(|bytes| bytes % BLOCK != 0) {
        section.mistake("log_segment", Fault::new("this is no multiple of 4KiB"));
        return None;
    }
    Some(Store {
        path: path?,
        max_size: max_size?,
        history: history?,
        log_segment: log_segment?,
        log_segments: u32::try_from(log_segments?).ok()?,
    })
}

/// The file that `rate_card` names is read later, by [`super::super::rate_card`].
pub(super) fn costs(section: &Section<'_>) -> Option<Costs> {
    let rate_card = path(section, "rate_card");
    let low_water = section.read("low_water", values::amount);
    // What is there and can't be read has been noted; that it's missing is no mistake.
    Some(Costs { rate_card, cards: Vec::new(), low_water })
}

pub(super) fn clock(section: &Section<'_>) -> Option<Clock> {
    let believed_ahead = section.read("believed_ahead", values::time);
    // What is there and can't be read has been noted; that it's missing is no mistake.
    let texts = section.read("servers", values::texts).unwrap_or_default();
    let mut servers = Vec::new();
    for text in &texts {
        let Some(server) = TimeServer::read(text) else {
            let fault = Fault::new(format!("{text:?} is no name and no address of a server"));
            section.mistake("servers", fault.help("servers = [\"ntp.store.lan\", \"192.168.1.1\"]"));
            return None;
        };
        servers.push(server);
    }
    if servers.len() > TIME_SERVERS_MAX {
        let fault = Fault::new(format!("these are {} servers", servers.len()));
        section.mistake("servers", fault.help(format!("{TIME_SERVERS_MAX} at most; 4 are plenty")));
        return None;
    }
    Some(Clock { believed_ahead: believed_ahead?, servers })
}

pub(super) fn log(section: &Section<'_>) -> Option<Log> {
    let format = section.read("format", values::choice);
    let level = section.read("level", values::choice);
    let formats = [LogFormat::Auto, LogFormat::Human, LogFormat::Json];
    let levels = [LogLevel::Error, LogLevel::Warn, LogLevel::Info, LogLevel::Debug, LogLevel::Trace];
    Some(Log { format: formats[format?], level: levels[level?] })
}
