//! How much a stranger may ask of the box. Every bound has a name and a default here.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::proxy::Relays;

/// What one listener takes on before it knows anything of who is calling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Connections open at once; see [`CONNECTIONS`].
    pub connections: usize,
    /// Neighbourhoods remembered in which somebody has proved itself; see [`NEIGHBOURHOODS`].
    pub neighbourhoods: usize,
    /// Time for the TLS handshake; see [`HANDSHAKE_TIME`].
    pub handshake_time: Duration,
    /// Time that a connection which has proved nothing may spend without a request being worked
    /// on: its first head has to be complete by then; see [`HEADER_TIME`].
    pub header_time: Duration,
    /// The same for a connection that has brought something signed; see [`IDLE_TIME`].
    pub idle_time: Duration,
    /// Bytes of one HTTP/1 head, at least 8,192, or of one HTTP/2 header list; see [`HEAD_BYTES`].
    pub head_bytes: u16,
    /// Header lines of one HTTP/1 request; see [`HEADERS`].
    pub headers: usize,
    /// Requests at once on one HTTP/2 connection; see [`STREAMS`].
    pub streams: u32,
    /// Time for the requests in flight when the listener is told to stop; see [`DRAIN_TIME`].
    pub drain_time: Duration,
    /// Whose connections have to begin with a PROXY header, within the time for the handshake; nobody's by default.
    pub relays: Relays,
}

/// Connections open at once. Meta uses a few dozen; an idle one over TLS costs some 30 KB.
pub const CONNECTIONS: usize = 256;
/// Rows of addresses (a /24, a /48) from which a secret was shown: their next connections are no strangers'. Meta sends from
/// a few dozen; a place takes 16 bytes.
pub const NEIGHBOURHOODS: usize = 256;
/// A handshake takes two round trips; this leaves room for a poor line.
pub const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
/// A webhook's head follows its handshake at once.
pub const HEADER_TIME: Duration = Duration::from_secs(10);
/// Past the 60 s for which common clients keep an idle connection, so that they close first.
pub const IDLE_TIME: Duration = Duration::from_secs(75);
/// Meta's heads have well under 2 KB.
pub const HEAD_BYTES: u16 = 16 * 1024;
/// Meta sends about ten header lines.
pub const HEADERS: usize = 64;
/// More requests at once are better spread over several connections.
pub const STREAMS: u32 = 32;
/// The contract's bound for a drain.
pub const DRAIN_TIME: Duration = Duration::from_secs(10);

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            connections: CONNECTIONS,
            neighbourhoods: NEIGHBOURHOODS,
            handshake_time: HANDSHAKE_TIME,
            header_time: HEADER_TIME,
            idle_time: IDLE_TIME,
            head_bytes: HEAD_BYTES,
            headers: HEADERS,
            streams: STREAMS,
            drain_time: DRAIN_TIME,
            relays: Relays::default(),
        }
    }
}

/// What the webhook's path takes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestLimits {
    /// Bytes of one body; one more is 413; see [`BODY_BYTES`].
    pub body_bytes: usize,
    /// Time from a request's head to the end of its body; past it 408; see [`BODY_TIME`].
    pub body_time: Duration,
    /// Rightly signed webhooks being admitted at once; past it 503; see [`REQUESTS_IN_FLIGHT`].
    pub requests_in_flight: usize,
    /// Bytes of all bodies in memory at once; past it 503; see [`BODY_BYTES_IN_FLIGHT`].
    pub body_bytes_in_flight: usize,
    /// How many of these may come from one address over connections that have proved nothing;
    /// past it 503; see [`STRANGER_BYTES_IN_FLIGHT`].
    pub stranger_bytes_in_flight: usize,
    /// How many may come from all such addresses together; past it 503; see
    /// [`STRANGERS_BYTES_IN_FLIGHT`].
    pub strangers_bytes_in_flight: usize,
    /// The same for those who have proved nothing either, and in whose neighbourhood somebody has; see
    /// [`NEIGHBOURS_BYTES_IN_FLIGHT`].
    pub neighbours_bytes_in_flight: usize,
    /// Bytes read and dropped after an answer that came before the end of the body; see
    /// [`DROPPED_BYTES`].
    pub dropped_bytes: usize,
    /// Time for the same; see [`DROPPED_TIME`].
    pub dropped_time: Duration,
    /// Requests without a right signature that an address may make in a minute; see
    /// [`UNSIGNED_PER_MINUTE`].
    pub unsigned_per_minute: NonZeroU32,
    /// How many of them may come at once; see [`UNSIGNED_BURST`].
    pub unsigned_burst: NonZeroU32,
    /// Addresses that are remembered for it; see [`ADDRESSES_REMEMBERED`].
    pub addresses_remembered: usize,
    /// What `Retry-After` says when the box itself has too much in hand; see [`BUSY_RETRY`].
    pub busy_retry: Duration,
}

/// Contract section 3. Meta's own bound is 3 MB.
pub const BODY_BYTES: usize = 4 * 1024 * 1024;
/// 3 MB in this time is 100 KB/s.
pub const BODY_TIME: Duration = Duration::from_secs(30);
/// One for each connection. At Meta's standard of 250 ms an answer that is 1,000 webhooks a second.
pub const REQUESTS_IN_FLIGHT: usize = CONNECTIONS;
/// Eight bodies of the largest kind, or a full house of ordinary ones (1 to 50 KB).
pub const BODY_BYTES_IN_FLIGHT: usize = 32 * 1024 * 1024;
/// Two bodies of the largest kind, and half of what strangers have: who stalls uploads on purpose needs
/// several addresses to keep other strangers out.
pub const STRANGER_BYTES_IN_FLIGHT: usize = STRANGERS_BYTES_IN_FLIGHT / 2;
/// Half of all is for connections that have brought something signed: addresses cost nothing.
pub const STRANGERS_BYTES_IN_FLIGHT: usize = BODY_BYTES_IN_FLIGHT / 2;
/// Half of what is left: Meta's new connections don't go short because of strangers, nor its old ones because of who has
/// found a place beside it.
pub const NEIGHBOURS_BYTES_IN_FLIGHT: usize = STRANGERS_BYTES_IN_FLIGHT / 2;
/// Eight times what is allowed: enough for every honest mistake.
pub const DROPPED_BYTES: usize = 32 * 1024 * 1024;
/// As for the drain of a listener.
pub const DROPPED_TIME: Duration = Duration::from_secs(10);
/// A wrong secret shows within seconds at this rate, and guessing gets nowhere.
pub const UNSIGNED_PER_MINUTE: NonZeroU32 = NonZeroU32::new(60).expect("not zero");
/// Meta retries in bursts, and a shop's first attempts at setting up come in bursts too.
pub const UNSIGNED_BURST: NonZeroU32 = NonZeroU32::new(60).expect("not zero");
/// At some 50 bytes each.
pub const ADDRESSES_REMEMBERED: usize = 4096;
/// Shorter than Meta's first retry.
pub const BUSY_RETRY: Duration = Duration::from_secs(1);

impl Default for RequestLimits {
    fn default() -> Self {
        Self {
            body_bytes: BODY_BYTES,
            body_time: BODY_TIME,
            requests_in_flight: REQUESTS_IN_FLIGHT,
            body_bytes_in_flight: BODY_BYTES_IN_FLIGHT,
            stranger_bytes_in_flight: STRANGER_BYTES_IN_FLIGHT,
            strangers_bytes_in_flight: STRANGERS_BYTES_IN_FLIGHT,
            neighbours_bytes_in_flight: NEIGHBOURS_BYTES_IN_FLIGHT,
            dropped_bytes: DROPPED_BYTES,
            dropped_time: DROPPED_TIME,
            unsigned_per_minute: UNSIGNED_PER_MINUTE,
            unsigned_burst: UNSIGNED_BURST,
            addresses_remembered: ADDRESSES_REMEMBERED,
            busy_retry: BUSY_RETRY,
        }
    }
}
