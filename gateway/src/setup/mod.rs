//! The setup page: how a person gives a new box its configuration, with a browser in the same network.
//!
//! A process of its own, without rights, that runs while no configuration is in force. It knows the code
//! ([`guard`]), makes a configuration of what is typed ([`fields`]), and hands it to the supervisor, who checks it and
//! ends this process when it's right. HTTPS with the box's own certificate; plain HTTP leads there and does nothing
//! else.

mod fields;
mod guard;
mod multipart;
mod pages;
mod redirect;
mod routes;
mod told;

use std::io;
use std::net::{Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;
use axum::http::Request;
use board::confine::{self, Plan};
use hyper::body::Incoming;
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use ingress::{ConnectionLimits, Source, Tls, Transport};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;

use self::routes::Setup;
use crate::cli::Stops;
use crate::config::{Log, LogFormat, LogLevel};
use crate::supervisor::first_boot::claim;
use crate::telemetry;

/// Connections at once: a few people with a browser each.
const CONNECTIONS: usize = 32;
/// Connections that the kernel holds until they are accepted.
const WAITING_CONNECTIONS: u32 = 64;
/// Threads that wait for the supervisor.
const BLOCKING_THREADS: usize = 4;
/// What the box is called when it doesn't know its own name.
const NAMELESS: &str = "wagate";

/// `wagate machine setup`
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where HTTPS is spoken
    #[arg(long, hide = true, value_name = "PORT", default_value_t = 443)]
    https: u16,
    /// Where HTTP leads to it
    #[arg(long, hide = true, value_name = "PORT", default_value_t = 80)]
    http: u16,
    /// The folder with the code and the mistakes
    #[arg(long, hide = true, value_name = "FOLDER", default_value = "/run/wagate")]
    run: PathBuf,
    /// The folder with the certificate
    #[arg(long, hide = true, value_name = "FOLDER", default_value_os_t = Path::new(board::paths::BOX).join(claim::TLS))]
    tls: PathBuf,
}

/// Serves the page until SIGTERM.
///
/// # Errors
/// When there is no code, no certificate, or a port is taken.
pub fn run(args: &Args) -> anyhow::Result<()> {
    telemetry::install(Log { format: LogFormat::Auto, level: LogLevel::Info });
    confine_if_asked(args)?;
    let code = std::fs::read_to_string(args.run.join(claim::CODE)).context("there is no setup code")?;
    anyhow::ensure!(claim::is_code(code.trim()), "the setup code is damaged");
    let mistakes = std::fs::read_to_string(args.run.join(claim::MISTAKES)).unwrap_or_default();
    let socket = std::env::var_os(board::paths::SOCKET_ENV).map(PathBuf::from);
    let socket = socket.context("the setup page works on a box only: there is no supervisor")?;
    let name = board::Remote::from_env().and_then(|board| board.about().ok()).map(|about| about.box_id);
    let name = name.unwrap_or_else(|| NAMELESS.to_owned());
    let tls = Tls::open(&Source::SelfSigned(args.tls.clone())).context("the setup page's certificate")?;
    let setup = Setup::new(name, code.trim(), mistakes, socket);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS)
        .build()?;
    runtime.block_on(serve(args, tls, setup))
}

/// The page needs its code, its certificate and its two ports, and nothing else of the machine.
fn confine_if_asked(args: &Args) -> anyhow::Result<()> {
    if !confine::is_asked() {
        return Ok(());
    }
    let plan = Plan {
        writes: Vec::new(),
        reads: vec![args.run.clone(), args.tls.clone()],
        listens: vec![args.https, args.http],
        dies_with_parent: true,
    };
    let confined = confine::confine(&plan).context("this process can't be confined")?;
    tracing::info!("{confined}");
    for missing in confined.missing() {
        tracing::error!("{missing}");
    }
    Ok(())
}

async fn serve(args: &Args, tls: Tls, setup: Setup) -> anyhow::Result<()> {
    let mut stops = Stops::listen()?;
    let https = listen(args.https).with_context(|| format!("port {}", args.https))?;
    let http = listen(args.http).with_context(|| format!("port {}", args.http))?;
    let port = https.local_addr()?.port();
    let name = setup.name.clone();
    tracing::info!(https = port, http = http.local_addr()?.port(), "the setup page waits");
    let (tell, told) = watch::channel(());
    let stopped = |mut told: watch::Receiver<()>| async move {
        let _ = told.changed().await;
    };
    let page =
        answer(https, Transport::Tls(tls), routes::router(Arc::new(setup)), "setup", stopped(told.clone()));
    let redirect = answer(http, Transport::Plain, redirect::router(&name, port), "redirect", stopped(told));
    let stop = async {
        stops.next().await;
        drop(tell);
    };
    tokio::join!(page, redirect, stop);
    Ok(())
}

/// Serves a router within limits until `stop`; what is in flight has its time to finish.
async fn answer(
    listener: TcpListener,
    transport: Transport,
    router: Router,
    name: &'static str,
    stop: impl Future<Output = ()> + Send,
) {
    let service = TowerToHyperService::new(router);
    let answer = move |_, request: Request<Incoming>| {
        let service = service.clone();
        async move {
            match service.call(request).await {
                Ok(response) => response,
                Err(never) => match never {},
            }
        }
    };
    let limits = ConnectionLimits { connections: CONNECTIONS, ..ConnectionLimits::default() };
    let metrics = ingress::Metrics::default().listener(name);
    ingress::serve(listener, transport, limits, metrics, answer, stop).await;
}

/// A listener for IPv6 and IPv4, or for IPv4 where there is no other.
fn listen(port: u16) -> io::Result<TcpListener> {
    let bind = |socket: io::Result<TcpSocket>, address: SocketAddr| {
        let socket = socket?;
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(WAITING_CONNECTIONS)
    };
    let both = bind(TcpSocket::new_v6(), (Ipv6Addr::UNSPECIFIED, port).into());
    both.or_else(|_| bind(TcpSocket::new_v4(), ([0, 0, 0, 0], port).into()))
}
