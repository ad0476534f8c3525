//! One connection through the proxy.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::watch;

use super::counts::more;
use super::fault::Fault;
use super::loss::{lateness, lateness_of};
use super::server::Shared;
use crate::Random;

/// Bytes that are moved at a time.
const CHUNK_BYTES: usize = 16 * 1024;

/// Why a connection through the proxy ends before its ends have closed it.
#[derive(Debug)]
struct Cut;

/// Whose turn it is, which both directions of a connection share.
#[derive(Debug, Default)]
struct Turns {
    /// Bytes came from the client since the last ones from the server.
    asked: AtomicBool,
    /// Bytes of the answer that went through.
    answered: AtomicU64,
}

/// One direction.
struct Way<'a> {
    from: ReadHalf<'a>,
    to: WriteHalf<'a>,
    /// From the server to the client.
    back: bool,
    turns: &'a Turns,
    shared: &'a Shared,
    fault: watch::Receiver<Fault>,
    random: Random,
}

/// Carries a connection until either end has closed it, or a fault cuts it; then both sides are reset.
pub(crate) async fn carry(shared: &Shared, mut client: TcpStream, mut random: Random) {
    let mut fault = shared.fault.subscribe();
    let carried = tokio::select! {
        carried = carry_on(shared, &mut client, &mut random) => carried,
        () = refused(&mut fault) => Err(Cut),
    };
    if carried.is_err() {
        more(&shared.counting.reset, 1);
        // Closing a socket that doesn't linger sends a reset.
        let _ = client.set_zero_linger();
    }
}

async fn refused(fault: &mut watch::Receiver<Fault>) {
    // The other end is in what is shared, so this can't fail.
    let _ = fault.wait_for(|fault| *fault == Fault::Refuse).await;
}

async fn carry_on(shared: &Shared, client: &mut TcpStream, random: &mut Random) -> Result<(), Cut> {
    let mut fault = shared.fault.subscribe();
    loop {
        let now = *fault.borrow_and_update();
        if !now.holds() {
            let syn_late = match now {
                Fault::Loss { percent } => lateness(percent, shared.options.syn_rto, random),
                Fault::Pass
                | Fault::Refuse
                | Fault::Unreachable
                | Fault::Silent
                | Fault::ResetInAnswer { .. }
                | Fault::Delay(_) => Duration::ZERO,
            };
            tokio::time::sleep(syn_late).await;
            break;
        }
        let _ = fault.changed().await;
    }
    let mut server = TcpStream::connect(shared.options.upstream).await.map_err(|_| Cut)?;
    more(&shared.counting.connected, 1);
    // Without it answers are slower; nothing else changes.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let turns = Turns::default();
    let ((from_client, to_client), (from_server, to_server)) = (client.split(), server.split());
    let way = |from, to, back, random| {
        let fault = shared.fault.subscribe();
        Way { from, to, back, turns: &turns, shared, fault, random }
    };
    let up = way(from_client, to_server, false, Random::new(random.next_u64()));
    let down = way(from_server, to_client, true, Random::new(random.next_u64()));
    let carried = tokio::try_join!(up.go(), down.go()).map(|((), ())| ());
    if carried.is_err() {
        let _ = server.set_zero_linger();
    }
    carried
}

impl Way<'_> {
    async fn go(mut self) -> Result<(), Cut> {
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            self.held().await;
            let read = tokio::select! {
                read = self.from.read(&mut chunk) => read.map_err(|_| Cut)?,
                _ = self.fault.changed() => continue,
            };
            // What was read is delivered once the network is back, and in order.
            self.held().await;
            if read == 0 {
                return self.to.shutdown().await.map_err(|_| Cut);
            }
            let bytes = chunk.get(..read).unwrap_or_default();
            let late = if self.back { self.answer(read) } else { self.question(read) };
            let late = match late {
                Late::By(late) => late,
                Late::CutAfter(bytes_left) => {
                    let last = bytes.get(..bytes_left).unwrap_or_default();
                    let _ = self.to.write_all(last).await;
                    return Err(Cut);
                }
            };
            self.wait(late).await;
            self.to.write_all(bytes).await.map_err(|_| Cut)?;
        }
    }

    /// Waits until something may go through.
    async fn held(&mut self) {
        // The other end is in what is shared, so this can't fail.
        let _ = self.fault.wait_for(|fault| !fault.holds()).await;
    }

    /// Waits so long; then for the end of a silence that began meanwhile.
    async fn wait(&mut self, late: Duration) {
        if !late.is_zero() {
            tokio::time::sleep(late).await;
        }
        self.held().await;
    }

    /// Bytes from the client.
    fn question(&mut self, bytes: usize) -> Late {
        self.turns.answered.store(0, Ordering::Relaxed);
        let new = !self.turns.asked.swap(true, Ordering::Relaxed);
        more(&self.shared.counting.requests, usize::from(new));
        more(&self.shared.counting.up, bytes);
        let fault = *self.fault.borrow();
        Late::By(self.lost(fault, bytes))
    }

    /// Bytes from the server.
    fn answer(&mut self, bytes: usize) -> Late {
        let first = self.turns.asked.swap(false, Ordering::Relaxed);
        let before = self.turns.answered.fetch_add(bytes as u64, Ordering::Relaxed);
        let fault = *self.fault.borrow();
        if let Fault::ResetInAnswer { after } = fault
            && before + bytes as u64 > after
        {
            let left = usize::try_from(after.saturating_sub(before)).unwrap_or(usize::MAX);
            more(&self.shared.counting.down, left);
            return Late::CutAfter(left);
        }
        more(&self.shared.counting.down, bytes);
        if let Fault::Delay(delay) = fault
            && first
        {
            return Late::By(delay);
        }
        Late::By(self.lost(fault, bytes))
    }

    fn lost(&mut self, fault: Fault, bytes: usize) -> Duration {
        let Fault::Loss { percent } = fault else { return Duration::ZERO };
        lateness_of(bytes, percent, self.shared.options.rto, &mut self.random)
    }
}

/// What becomes of bytes.
enum Late {
    /// They go on, so much later.
    By(Duration),
    /// So many of them go on, and then the connection is cut.
    CutAfter(usize),
}
