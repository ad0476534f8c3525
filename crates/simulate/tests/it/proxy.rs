//! The proxy passes what it is given, and breaks as it is told to.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use wagate_simulate::proxy::{Counts, Fault, Proxy, ProxyOptions};

use crate::run;

/// Long enough for what comes over loopback, short enough to wait for what doesn't come.
const SILENCE: Duration = Duration::from_millis(150);

/// Gives every line back, twice as long.
struct Echo {
    address: SocketAddr,
    _tasks: JoinSet<()>,
}

impl Echo {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                connections.spawn(async move {
                    let mut line = [0; 4];
                    while stream.read_exact(&mut line).await.is_ok() {
                        stream.write_all(&[line, line].concat()).await.unwrap();
                    }
                });
            }
        });
        Self { address, _tasks: tasks }
    }
}

async fn proxy() -> (Echo, Proxy) {
    let echo = Echo::start().await;
    let proxy = Proxy::start(ProxyOptions::new(echo.address)).unwrap();
    (echo, proxy)
}

async fn connect(proxy: &Proxy) -> TcpStream {
    TcpStream::connect(proxy.address()).await.unwrap()
}

async fn ask(stream: &mut TcpStream) -> Result<(), ErrorKind> {
    stream.write_all(b"ping").await.map_err(|why| why.kind())?;
    answer(stream).await
}

async fn answer(stream: &mut TcpStream) -> Result<(), ErrorKind> {
    let mut answer = [0; 8];
    stream.read_exact(&mut answer).await.map_err(|why| why.kind())?;
    assert_eq!(&answer, b"pingping");
    Ok(())
}

/// Whether nothing comes for a while.
async fn is_silent(stream: &mut TcpStream) -> bool {
    tokio::time::timeout(SILENCE, ask(stream)).await.is_err()
}

#[test]
fn everything_passes_and_is_counted() {
    run(async {
        let (_echo, proxy) = proxy().await;
        let mut stream = connect(&proxy).await;
        for _ in 0..3 {
            ask(&mut stream).await.unwrap();
        }
        let counts = proxy.counts();
        let wanted = Counts { accepted: 1, connected: 1, reset: 0, up: 12, down: 24, requests: 3 };
        assert_eq!(counts, wanted);
        // What either end closes is closed on the other side.
        stream.shutdown().await.unwrap();
        assert_eq!(stream.read(&mut [0; 1]).await.unwrap(), 0);
    });
}

#[test]
fn a_large_file_passes_byte_for_byte_both_ways() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Proxy::start(ProxyOptions::new(listener.local_addr().unwrap())).unwrap();
        let sent: Vec<u8> = (0..=250).cycle().take(3_000_000).collect();
        let back = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut got = Vec::new();
            stream.read_to_end(&mut got).await.unwrap();
            stream.write_all(&got).await.unwrap();
        });
        let mut stream = connect(&proxy).await;
        stream.write_all(&sent).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut got = Vec::new();
        stream.read_to_end(&mut got).await.unwrap();
        assert!(got == sent);
        back.await.unwrap();
        assert_eq!((proxy.counts().up, proxy.counts().down), (3_000_000, 3_000_000));
    });
}

#[test]
fn a_refusing_port_resets_what_is_open_and_can_be_opened_again() {
    run(async {
        let (_echo, proxy) = proxy().await;
        let mut stream = connect(&proxy).await;
        ask(&mut stream).await.unwrap();
        for _ in 0..3 {
            proxy.set(Fault::Refuse).await;
            assert_eq!(stream.read(&mut [0; 1]).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
            let refused = TcpStream::connect(proxy.address()).await.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
            proxy.set(Fault::Pass).await;
            stream = connect(&proxy).await;
            ask(&mut stream).await.unwrap();
        }
        assert_eq!((proxy.counts().reset, proxy.counts().connected), (3, 4));
    });
}

#[test]
fn nobody_gets_into_a_black_hole_and_it_gives_back_what_was_in_it() {
    run(async {
        let (_echo, proxy) = proxy().await;
        let mut stream = connect(&proxy).await;
        ask(&mut stream).await.unwrap();
        for _ in 0..3 {
            proxy.set(Fault::Unreachable).await;
            assert!(is_silent(&mut stream).await);
            for _ in 0..3 {
                let connecting = TcpStream::connect(proxy.address());
                assert!(tokio::time::timeout(SILENCE, connecting).await.is_err(), "somebody got in");
            }
            let before = proxy.counts();
            proxy.set(Fault::Pass).await;
            // The answer to what was asked into the silence.
            answer(&mut stream).await.unwrap();
            ask(&mut connect(&proxy).await).await.unwrap();
            assert_eq!(proxy.counts().accepted, before.accepted + 1, "our own connection isn't counted");
        }
        // From one fault to another without a pass between them.
        proxy.set(Fault::Unreachable).await;
        proxy.set(Fault::Refuse).await;
        assert!(TcpStream::connect(proxy.address()).await.is_err());
        proxy.set(Fault::Unreachable).await;
        assert!(tokio::time::timeout(SILENCE, TcpStream::connect(proxy.address())).await.is_err());
        proxy.set(Fault::Silent).await;
        assert!(is_silent(&mut connect(&proxy).await).await);
    });
}

#[test]
fn who_waits_before_a_black_hole_gets_in_once_it_is_gone() {
    run(async {
        let (_echo, proxy) = proxy().await;
        proxy.set(Fault::Unreachable).await;
        let address = proxy.address();
        let waiting = tokio::spawn(async move { TcpStream::connect(address).await.unwrap() });
        tokio::time::sleep(SILENCE).await;
        proxy.set(Fault::Pass).await;
        // By the kernel's second SYN, a second after the first.
        ask(&mut waiting.await.unwrap()).await.unwrap();
    });
}

#[test]
fn a_silent_connection_goes_on_once_the_silence_is_over() {
    run(async {
        let (_echo, proxy) = proxy().await;
        let mut old = connect(&proxy).await;
        ask(&mut old).await.unwrap();
        proxy.set(Fault::Silent).await;
        let mut new = connect(&proxy).await;
        assert!(is_silent(&mut old).await && is_silent(&mut new).await);
        assert_eq!((proxy.counts().connected, proxy.counts().requests), (1, 1));
        proxy.set(Fault::Pass).await;
        answer(&mut old).await.unwrap();
        answer(&mut new).await.unwrap();
        assert_eq!((proxy.counts().connected, proxy.counts().requests), (2, 3));
    });
}

#[test]
fn an_answer_is_reset_after_so_many_bytes_and_was_asked_for_all_the_same() {
    run(async {
        for after in [0, 3, 7] {
            let (_echo, proxy) = proxy().await;
            proxy.set(Fault::ResetInAnswer { after }).await;
            let mut stream = connect(&proxy).await;
            stream.write_all(b"ping").await.unwrap();
            let mut got = Vec::new();
            let why = stream.read_to_end(&mut got).await.unwrap_err();
            assert_eq!((why.kind(), got.len() as u64), (ErrorKind::ConnectionReset, after));
            assert_eq!((proxy.counts().up, proxy.counts().down, proxy.counts().reset), (4, after, 1));
        }
        let (_echo, proxy) = proxy().await;
        proxy.set(Fault::ResetInAnswer { after: 8 }).await;
        let mut stream = connect(&proxy).await;
        // Each answer is counted anew.
        for _ in 0..3 {
            ask(&mut stream).await.unwrap();
        }
    });
}

#[test]
fn answers_are_late_by_the_delay() {
    run(async {
        let (_echo, proxy) = proxy().await;
        let delay = Duration::from_millis(40);
        proxy.set(Fault::Delay(delay)).await;
        let mut stream = connect(&proxy).await;
        for _ in 0..2 {
            let start = Instant::now();
            ask(&mut stream).await.unwrap();
            assert!(start.elapsed() >= delay);
        }
    });
}

#[test]
fn lost_packets_make_bytes_late_and_lose_none() {
    run(async {
        let echo = Echo::start().await;
        let rto = Duration::from_millis(4);
        let options = ProxyOptions { rto, syn_rto: rto, ..ProxyOptions::new(echo.address) };
        let proxy = Proxy::start(options).unwrap();
        proxy.set(Fault::Loss { percent: 30 }).await;
        let (mut late, mut stream) = (0, connect(&proxy).await);
        for _ in 0..60 {
            let start = Instant::now();
            ask(&mut stream).await.unwrap();
            late += u32::from(start.elapsed() >= rto);
        }
        // 51 of 100 exchanges lose a packet one way or the other; a slow machine has more that are late.
        assert!(late >= 15, "{late}");
        assert_eq!((proxy.counts().requests, proxy.counts().down), (60, 480));
    });
}

#[test]
fn what_refuses_behind_it_refuses_through_it() {
    run(async {
        let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let proxy = Proxy::start(ProxyOptions::new(gone)).unwrap();
        let why = connect(&proxy).await.read(&mut [0; 1]).await.unwrap_err();
        assert_eq!(why.kind(), ErrorKind::ConnectionReset);
    });
}
