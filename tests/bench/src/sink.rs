//! The CRM of the benchmark: takes every record, notes when which came, and answers 200.
//!
//! One thread and no JSON: a record is known by its `webhook-id`. The stand-in of [`simulate`] checks
//! everything and takes as much of the machine as the gateway does; here the counting is left for
//! after the run ([`crate::judge`]).

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;

use crate::http::Message;
use crate::poll::Poll;
use crate::work::{Work, now};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
/// What is read at once; a delivery is about 1.5 KiB.
const READ_BYTES: usize = 16 << 10;
/// Of so many deliveries one is kept whole, for its signature.
const KEPT_OF: usize = 509;
/// A stop is noticed within this time.
const GLANCE: Duration = Duration::from_millis(20);
const LISTENER: u64 = u64::MAX;

/// A running CRM. Dropping it closes it.
#[derive(Debug)]
pub(crate) struct Sink {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<anyhow::Result<()>>>,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    /// Records so far, repeats included.
    arrived: AtomicU64,
    distinct: AtomicU64,
    connections: AtomicU64,
    seen: Mutex<Seen>,
}

/// What the CRM was given.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Every arrival: the item's number, and when (nanoseconds of [`now`]).
    pub(crate) arrivals: Vec<(u32, u64)>,
    /// Deliveries with an id that nobody had sent.
    pub(crate) strangers: u64,
    /// Some whole deliveries.
    pub(crate) kept: Vec<Vec<u8>>,
    /// Whether an item has arrived.
    pub(crate) met: Vec<bool>,
}

impl Sink {
    /// Listens at `address`, or anywhere.
    pub(crate) fn start(work: Arc<Work>, address: Option<SocketAddr>) -> anyhow::Result<Self> {
        let address = address.unwrap_or_else(|| ([127, 0, 0, 1], 0).into());
        let listener = TcpListener::bind(address).with_context(|| format!("the CRM at {address}"))?;
        let address = listener.local_addr()?;
        let seen = Seen { met: vec![false; work.items.len()], ..Seen::default() };
        let shared = Arc::new(Shared { seen: Mutex::new(seen), ..Shared::default() });
        let mine = Arc::clone(&shared);
        let thread =
            std::thread::Builder::new().name("crm".into()).spawn(move || serve(&listener, &work, &mine))?;
        Ok(Self { address, shared, thread: Some(thread) })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/records", self.address)
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn distinct(&self) -> u64 {
        self.shared.distinct.load(Ordering::Relaxed)
    }

    pub(crate) fn arrived(&self) -> u64 {
        self.shared.arrived.load(Ordering::Relaxed)
    }

    /// How many connections are open.
    pub(crate) fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// Closes it and tells what it saw.
    pub(crate) fn stop(mut self) -> anyhow::Result<Seen> {
        self.end()?;
        Ok(std::mem::take(&mut *self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    fn end(&mut self) -> anyhow::Result<()> {
        self.shared.stop.store(true, Ordering::Relaxed);
        let Some(thread) = self.thread.take() else { return Ok(()) };
        thread.join().map_err(|_| anyhow::anyhow!("the CRM's thread panicked"))?
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        // Whoever wants to know how it went has called `stop`.
        let _ = self.end();
    }
}

#[derive(Debug)]
struct Caller {
    socket: TcpStream,
    bytes: Vec<u8>,
}

fn serve(listener: &TcpListener, work: &Work, shared: &Shared) -> anyhow::Result<()> {
    let mut poll = Poll::new()?;
    poll.add(listener, LISTENER)?;
    let mut callers: Vec<Option<Caller>> = Vec::new();
    let mut scratch = vec![0; READ_BYTES];
    let mut ready = Vec::new();
    while !shared.stop.load(Ordering::Relaxed) {
        poll.wait(GLANCE, &mut ready)?;
        for number in &ready {
            if *number == LISTENER {
                let (socket, _) = listener.accept()?;
                socket.set_nodelay(true)?;
                let place = callers.iter().position(Option::is_none).unwrap_or_else(|| {
                    callers.push(None);
                    callers.len() - 1
                });
                poll.add(&socket, place as u64)?;
                callers[place] = Some(Caller { socket, bytes: Vec::new() });
                shared.connections.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            let place = usize::try_from(*number)?;
            let Some(caller) = &mut callers[place] else { continue };
            if caller.serve(&mut scratch, work, shared).is_err() {
                callers[place] = None;
                shared.connections.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }
    Ok(())
}

impl Caller {
    /// Reads what is there and answers every request that is complete.
    fn serve(&mut self, scratch: &mut [u8], work: &Work, shared: &Shared) -> io::Result<()> {
        let length = self.socket.read(scratch)?;
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let time = now();
        // Mostly a request comes in one piece, and nothing has to be kept.
        let mut joined = std::mem::take(&mut self.bytes);
        let bytes = if joined.is_empty() {
            &scratch[..length]
        } else {
            joined.extend_from_slice(&scratch[..length]);
            &joined[..]
        };
        let mut place = 0;
        while let Some(message) = Message::parse(&bytes[place..]).map_err(|_| io::ErrorKind::InvalidData)? {
            let whole = &bytes[place..place + message.len()];
            // A gateway may ask how the CRM is: that is no record.
            if !whole.starts_with(b"GET ") {
                shared.take(work, &message, whole, time);
            }
            place += message.len();
            self.socket.write_all(ANSWER)?;
        }
        self.bytes.extend_from_slice(&bytes[place..]);
        Ok(())
    }
}

impl Shared {
    fn take(&self, work: &Work, message: &Message<'_>, whole: &[u8], time: u64) {
        let number = message.header(b"webhook-id").and_then(|id| work.number_of(id));
        // Nobody else asks for it before the end.
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match number {
            Some(number) => {
                if !std::mem::replace(&mut seen.met[number as usize], true) {
                    self.distinct.fetch_add(1, Ordering::Relaxed);
                }
                seen.arrivals.push((number, time));
                if seen.arrivals.len() % KEPT_OF == 1 {
                    seen.kept.push(whole.to_owned());
                }
            }
            None => seen.strangers += 1,
        }
        self.arrived.fetch_add(1, Ordering::Relaxed);
    }
}
