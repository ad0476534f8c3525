//! The start of the supervisor: from nothing to the thread that decides.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use board::linux::{DeviceWatchdog, Machine, Places};
use board::serve::Keeper;
use board::{BoardError, Watchdog, paths};
use tokio::signal::unix::{SignalKind, signal};

use super::chain::{Chain, Event, Goal, Shown};
use super::data::Data;
use super::first_boot::{self, FirstBoot, Mounts, Outcome};
use super::keeper::{Desk, Parts};
use super::keeping::Keeping;
use super::lamp::Lamp;
use super::log::tail::Tails;
use super::log::{self, Log, STATE};
use super::network::Net;
use super::notify::Ear;
use super::place::{Place, WAGATE};
use super::process::Starter;
use super::running::{Running, there_is};
use super::{HAPPENINGS_MAX, Happening, clock, invitation, kernel_line, wishes};
use crate::cli::Exit;
use crate::telemetry;

/// Where this process notes its number, for the script that takes the machine down.
const OWN_PID: &str = "supervisor";
/// Where it's noted when the first supervisor of this start of the machine began, in milliseconds of uptime.
const FIRST: &str = "first-supervisor";
/// Who takes the machine down may tell every process of ours at once. A gateway that is told twice leaves without
/// finishing, so it has this long to say that it knows.
const GATEWAY_KNOWS: Duration = Duration::from_millis(500);
/// Between two looks whether the kernel has found what is plugged in.
const LOOK_FOR_STICKS: Duration = Duration::from_secs(1);
/// What is still on its way then isn't waited for any longer.
const LOOKS_FOR_STICKS: u32 = 25;
/// What the box is called when its name can't be found out.
const NAMELESS: &str = "wagate";

/// Owns the machine until it goes down, or until SIGTERM. `root`: a folder that plays the box, in tests.
///
/// # Errors
/// When there is no place for its sockets, or no thread: init starts it again.
pub fn supervise(root: Option<&Path>) -> anyhow::Result<Exit> {
    let place = Place::new(root);
    let log = Log::new()?;
    telemetry::install_into(log.clone());
    if let Err(error) = log::kernel::listen(log.clone(), &place.at("/dev/kmsg")) {
        tracing::warn!(%error, "the kernel's errors aren't seen");
    }
    std::fs::create_dir_all(place.run()).context("no folder for sockets")?;
    let watchdog = open_watchdog(&place);
    let starter = Starter::new(log.clone(), place.run());
    starter.clear();
    let _ = std::fs::write(place.run().join(OWN_PID), format!("{}\n", std::process::id()));

    let (told, happenings) = sync_channel(HAPPENINGS_MAX);
    listen_for_signals(told.clone())?;
    let machine = open_machine(&place);
    let box_id = match &machine {
        Ok(machine) => machine.box_id().to_owned(),
        Err(_) => NAMELESS.to_owned(),
    };
    say_hello(&machine, &box_id);
    if place.real() {
        let built = machine.as_ref().map_or(0, |machine| machine.release().built_at_ms);
        let kept = place.at(paths::BOX);
        clock::at_least(clock::floor(built, &kept, &[kept.clone(), place.at(paths::STORE)]));
        allow_addresses_to_come_late();
    }
    let mut lamp = Lamp::find(&place.at("/sys"));
    lamp.show(Shown::Starting, false);

    let commit_by = machine.as_ref().is_ok_and(Machine::on_trial).then(|| commit_by(&place));
    let esp = machine.as_ref().ok().map(|machine| Arc::clone(machine.esp()));
    let configurations = FirstBoot::new(place.root(), Mounts::new(esp, place.real()));
    let desk = Arc::new(Desk::new(Parts {
        place: place.clone(),
        machine,
        box_id: box_id.clone(),
        log: log.clone(),
        watchdog_seconds: watchdog.as_ref().map(|watchdog| watchdog.timeout().as_secs()),
        configurations: Box::new(configurations),
        told: told.clone(),
    }));
    let net = Net::start(&place, wishes::wanted(&place, &box_id), &starter)?;
    desk.connect(net.clone());

    let stop = Arc::new(AtomicBool::new(false));
    answer(&place, &desk, &stop).context("no socket for the gateway's questions")?;
    hear(&place, told.clone()).context("no socket for the gateway's signs of life")?;
    search(&place, &desk, &net, &log, told.clone())?;
    let keeping = Keeping::start()?;
    let mut running = Running {
        program: std::env::current_exe().unwrap_or_else(|_| place.at("/bin/wagate")),
        tails: Tails::new(place.at(paths::BOX), keeping.clone()),
        keeping,
        calendar: clock::Calendar::new(Instant::now()),
        data: Data::new(&place),
        looked: Instant::now(),
        chain: Chain::new(commit_by),
        child: None,
        shown: Shown::Starting,
        since: Instant::now(),
        fed_in_vain: false,
        place,
        log,
        starter,
        desk,
        box_id,
        net,
        lamp,
        watchdog,
        told,
    };
    let goal = running.run(&happenings);
    stop.store(true, Ordering::Release);
    running.leave(goal);
    Ok(Exit::Done)
}

fn open_watchdog(place: &Place) -> Option<Box<dyn Watchdog>> {
    match DeviceWatchdog::open(&place.at("/dev"), &place.at("/sys")) {
        Ok(Some(mut watchdog)) => {
            if let Err(error) = watchdog.feed() {
                tracing::error!("the watchdog can't be fed: {error}");
            }
            Some(Box::new(watchdog))
        }
        Ok(None) => {
            if place.real() {
                tracing::warn!(
                    "this machine has no watchdog: if it hangs as a whole, somebody has to pull the plug"
                );
            }
            None
        }
        Err(error) => {
            tracing::error!("the watchdog can't be opened: {error}");
            None
        }
    }
}

fn open_machine(place: &Place) -> Result<Machine, BoardError> {
    let places = if place.real() { Places::on_the_box() } else { Places::below(place.root()) };
    Machine::open(places, store::DATA_FORMAT)
}

fn say_hello(machine: &Result<Machine, BoardError>, box_id: &str) {
    match machine {
        Ok(machine) => {
            let release = machine.release();
            let trial = if machine.on_trial() { ", on trial" } else { "" };
            tracing::info!(
                target: STATE,
                "{box_id}: wagate {} on {}, slot {}{trial}",
                release.version,
                release.board,
                machine.running()
            );
            if let Ok(about) = machine.about()
                && let Some(note) = about.boot_note
            {
                if about.boot_note_expected {
                    tracing::info!(target: STATE, "{note}");
                } else {
                    tracing::warn!("{note}");
                }
            }
        }
        Err(error) => tracing::warn!("no slots, so no updates: {error}"),
    }
}

/// A gateway that is to listen at an address of the box is to start before the network has given it one.
fn allow_addresses_to_come_late() {
    for file in ["/proc/sys/net/ipv4/ip_nonlocal_bind", "/proc/sys/net/ipv6/ip_nonlocal_bind"] {
        if let Err(error) = std::fs::write(file, "1") {
            tracing::debug!(%error, file, "a listener at an address that comes late has to be tried again");
        }
    }
}

/// When the version on trial has to have committed, seen from now. A supervisor that was started again doesn't begin
/// to count anew.
fn commit_by(place: &Place) -> Duration {
    let read = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
    let within = kernel_line::commit_within(&read(&place.at("/proc/cmdline")));
    let uptime = clock::uptime(&place.at("/proc/uptime"));
    let noted = place.run().join(FIRST);
    let first = match read(&noted).trim().parse() {
        Ok(ms) => Duration::from_millis(ms),
        Err(_) => {
            let _ = std::fs::write(&noted, format!("{}\n", uptime.as_millis()));
            uptime
        }
    };
    within.saturating_sub(uptime.saturating_sub(first))
}

/// Answers the gateway's questions.
fn answer(place: &Place, desk: &Arc<Desk>, stop: &Arc<AtomicBool>) -> io::Result<()> {
    let path = place.board_socket();
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path)?;
    open_to_the_gateway(place, &path)?;
    let users = may_ask(place, rustix::process::getuid().as_raw());
    let (keeper, stop): (Arc<dyn Keeper>, _) = (Arc::clone(desk) as _, Arc::clone(stop));
    std::thread::Builder::new().name("questions".into()).spawn(move || {
        if let Err(error) = board::serve::serve(&listener, &users, &keeper, &stop) {
            tracing::error!(%error, "the gateway's questions aren't answered any more");
        }
    })?;
    Ok(())
}

/// The users who are answered.
pub(super) fn may_ask(place: &Place, own: u32) -> Vec<u32> {
    if place.real() { vec![own, WAGATE] } else { vec![own] }
}

/// Hears how the gateway is.
fn hear(place: &Place, told: SyncSender<Happening>) -> io::Result<()> {
    let path = place.notify_socket();
    let ear = Ear::listen(&path)?;
    open_to_the_gateway(place, &path)?;
    std::thread::Builder::new().name("signs of life".into()).spawn(move || {
        loop {
            match ear.hear() {
                Ok((_, words)) if words.is_empty() => {}
                Ok((pid, words)) => {
                    if told.send(Happening::Said(pid, words)).is_err() {
                        break;
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "a sign of life that can't be read");
                    std::thread::sleep(Duration::from_secs(1));
                }
            }
        }
    })?;
    Ok(())
}

fn open_to_the_gateway(place: &Place, socket: &Path) -> io::Result<()> {
    if place.real() {
        std::os::unix::fs::chown(socket, Some(0), Some(WAGATE))?;
    }
    std::fs::set_permissions(socket, std::fs::Permissions::from_mode(0o660))
}

/// Looks for a configuration, which may take as long as media do.
fn search(
    place: &Place,
    desk: &Arc<Desk>,
    net: &Net,
    log: &Log,
    told: SyncSender<Happening>,
) -> io::Result<()> {
    let (place, desk, net, log) = (place.clone(), Arc::clone(desk), net.clone(), log.clone());
    std::thread::Builder::new().name("search".into()).spawn(move || {
        await_sticks(&place);
        if desk.ask_sticks(&mut Mounts::new(None, place.real())) {
            return;
        }
        if !place.no_data().exists()
            && let Outcome::None { mistakes } = desk.search()
        {
            invitation::invite(&place, &desk, &net, &log, mistakes.as_deref());
        }
        let _ = told.send(Happening::Event(Event::Found(there_is(&place))));
    })?;
    Ok(())
}

/// Waits until the kernel has found what is plugged in, and with it nothing more a moment later.
fn await_sticks(place: &Place) {
    let mut before = None;
    for _ in 0..LOOKS_FOR_STICKS {
        let now = first_boot::usb_disks(&place.at("/sys"), clock::uptime(&place.at("/proc/uptime")));
        if now.as_ref().is_some_and(|disks| disks.is_empty() || before.as_ref() == Some(disks)) {
            break;
        }
        before = now;
        std::thread::sleep(LOOK_FOR_STICKS);
    }
}

/// SIGTERM and SIGINT end the supervisor in order.
fn listen_for_signals(told: SyncSender<Happening>) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let (mut terminate, mut interrupt) = runtime.block_on(async {
        Ok::<_, io::Error>((signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?))
    })?;
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        runtime.block_on(async {
            loop {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
                std::thread::sleep(GATEWAY_KNOWS);
                if told.send(Happening::Event(Event::Stop(Goal::End))).is_err() {
                    break;
                }
            }
        });
    })?;
    Ok(())
}
