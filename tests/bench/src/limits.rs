//! How far the benchmark itself is from being the limit: its load generator against a server that does
//! nothing but answer, over plain HTTP and over TLS.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection};

use crate::http::Message;
use crate::load::{Generator, Until};
use crate::path::{Load, Plan};
use crate::poll::Poll;
use crate::results::{Figures, Results};
use crate::server::{Kind, cpu_seconds};
use crate::sink::Sink;
use crate::table::say;
use crate::work::Work;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
const READ_BYTES: usize = 16 << 10;
const GLANCE: Duration = Duration::from_millis(20);

/// Measures. The figures stand under the gateway's name, which has no part in them.
pub(crate) fn measure(plan: &Plan, results: &mut Results) -> anyhow::Result<()> {
    let work = plan.work(9)?;
    for round in 1..=plan.rounds {
        say(&format!("limits, round {round} of {}", plan.rounds));
        let time = Load::Saturated.time(plan.paced);
        let sink = Sink::start(Arc::new(Work::default()), None)?;
        results.add("limits/plain", Kind::Wagate, round, rate(&work, sink.address(), false, time)?);
        drop(sink);

        let listener = TcpListener::bind("127.0.0.1:0")?;
        let (address, stop) = (listener.local_addr()?, AtomicBool::new(false));
        let figures = std::thread::scope(|scope| {
            let server = scope.spawn(|| answer(&listener, &stop));
            let figures = rate(&work, address, true, time);
            stop.store(true, Ordering::Relaxed);
            server.join().map_err(|_| anyhow::anyhow!("the trivial server panicked"))??;
            figures
        })?;
        results.add("limits/tls", Kind::Wagate, round, figures);
    }
    Ok(())
}

fn rate(work: &Arc<Work>, address: SocketAddr, tls: bool, time: Duration) -> anyhow::Result<Figures> {
    let mut generator = Generator::open(Arc::clone(work), address, tls)?;
    let before = cpu_seconds("self")?;
    let outcome = generator.run(Load::Saturated.pace(), Until::time(time))?;
    let cpu = cpu_seconds("self")? - before;
    Ok([
        ("requests_per_second", outcome.acked as f64 / outcome.took.as_secs_f64()),
        ("both_ends_cpu_s_per_10k", cpu / outcome.acked as f64 * 1e4),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into())
}

/// Answers every request over TLS until it is stopped.
fn answer(listener: &TcpListener, stop: &AtomicBool) -> anyhow::Result<()> {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()])?;
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).map_err(anyhow::Error::msg)?;
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)?;
    let config = Arc::new(config);
    let mut poll = Poll::new()?;
    poll.add(listener, u64::MAX)?;
    let mut callers: Vec<Caller> = Vec::new();
    let mut ready = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        poll.wait(GLANCE, &mut ready)?;
        for number in &ready {
            let Some(caller) = callers.get_mut(usize::try_from(*number)?) else {
                let (socket, _) = listener.accept()?;
                poll.add(&socket, callers.len() as u64)?;
                callers.push(Caller::greet(socket, &config)?);
                continue;
            };
            if caller.tls.read_tls(&mut caller.socket)? == 0 {
                poll.remove(&caller.socket)?;
                continue;
            }
            caller.tls.process_new_packets()?;
            caller.answer()?;
        }
    }
    Ok(())
}

struct Caller {
    socket: TcpStream,
    tls: ServerConnection,
    bytes: Vec<u8>,
    scratch: Box<[u8; READ_BYTES]>,
}

impl Caller {
    fn greet(mut socket: TcpStream, config: &Arc<ServerConfig>) -> anyhow::Result<Self> {
        socket.set_nodelay(true)?;
        let mut tls = ServerConnection::new(Arc::clone(config))?;
        while tls.is_handshaking() {
            tls.complete_io(&mut socket)?;
        }
        let mut caller = Self { socket, tls, bytes: Vec::new(), scratch: Box::new([0; READ_BYTES]) };
        // The first request may have come together with the end of the handshake.
        caller.answer()?;
        Ok(caller)
    }

    /// Answers every request that has come whole.
    fn answer(&mut self) -> anyhow::Result<()> {
        let Self { socket, tls, bytes, scratch } = self;
        loop {
            match tls.reader().read(&mut scratch[..]) {
                Ok(0) => break,
                Ok(length) => bytes.extend_from_slice(&scratch[..length]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
        while let Ok(Some(message)) = Message::parse(bytes) {
            let length = message.len();
            bytes.drain(..length);
            tls.writer().write_all(ANSWER)?;
        }
        while tls.wants_write() {
            tls.write_tls(socket)?;
        }
        Ok(())
    }
}
