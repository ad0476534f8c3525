//! The box's network: cards that come and go, addresses, VLANs, the name.
//!
//! Every two seconds it's looked at what cards there are; [`plan`] says what has to be done about it, and this thread
//! has it done by `ip` and `udhcpc` of busybox. Nothing in here ever touches the gateway: it runs, and takes in what
//! it can, whether there is a network or not.

mod cards;
mod lease;
mod plan;
mod runner;
mod tools;
pub(super) mod wired;

use std::io;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use board::about::InterfaceAbout;

use self::runner::Runner;
use self::tools::Busybox;
use super::place::Place;
use super::process::Starter;
use crate::config::{Address, Network};

/// Between two looks at the cards.
const LOOK: Duration = Duration::from_secs(2);
/// Time servers that are told, at most.
const NTP_MAX: usize = 4;

/// How the network should be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    /// `[network]`
    pub(super) network: Network,
    /// The box's name, to DHCP and on the local network.
    pub(super) hostname: String,
    /// What is announced on the local network.
    pub(super) services: Services,
}

/// The doors of the box that people may look for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Services {
    /// Where HTTPS is spoken.
    pub(super) https: Option<u16>,
    /// Where HTTP is spoken.
    pub(super) http: Option<u16>,
}

/// The thread that sees to it. Clones are the same one.
#[derive(Debug, Clone)]
pub(super) struct Net {
    place: Place,
    wanted: Arc<Mutex<Wanted>>,
    stop: Arc<AtomicBool>,
    thread: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl Net {
    /// Starts the thread; below a root that isn't the box's only what is there is told.
    pub(super) fn start(place: &Place, wanted: Wanted, starter: &Starter) -> io::Result<Self> {
        let net = Self {
            place: place.clone(),
            wanted: Arc::new(Mutex::new(wanted)),
            stop: Arc::default(),
            thread: Arc::default(),
        };
        if place.real() {
            let (own, runner) = (net.clone(), Runner::new(place, Box::new(Busybox::new(place, starter))));
            let thread = std::thread::Builder::new().name("network".into()).spawn(move || own.run(runner))?;
            *net.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        }
        Ok(net)
    }

    /// Has the network be like this from now on.
    pub(super) fn want(&self, wanted: Wanted) {
        *self.wanted.lock().unwrap_or_else(PoisonError::into_inner) = wanted;
        if let Some(thread) = &*self.thread.lock().unwrap_or_else(PoisonError::into_inner) {
            thread.thread().unpark();
        }
    }

    /// Ends what asks for addresses and says the name.
    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            thread.thread().unpark();
            // An `ip` that hangs is no reason to stay: the machine goes down.
            let until = Instant::now() + LOOK;
            while !thread.is_finished() && Instant::now() < until {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }

    /// The interfaces as they are.
    pub(super) fn interfaces(&self) -> Vec<InterfaceAbout> {
        let network = self.wanted().network;
        let leases = self.place.at(board::paths::LEASES);
        let v4 = |name: &str| match lease::of(&leases, name) {
            Some(lease) => lease.address,
            None => fixed(&network, name, &self.place),
        };
        let if_inet6 = std::fs::read_to_string(self.place.at("/proc/net/if_inet6")).unwrap_or_default();
        cards::about(&self.place.at("/sys/class/net"), &v4, &if_inet6)
    }

    /// The time servers that DHCP named, each once.
    pub(super) fn ntp_servers(&self) -> Vec<String> {
        let leases = self.place.at(board::paths::LEASES);
        let mut servers: Vec<String> = Vec::new();
        for interface in self.interfaces() {
            for server in lease::of(&leases, &interface.name).unwrap_or_default().ntp {
                if !servers.contains(&server) && servers.len() < NTP_MAX {
                    servers.push(server);
                }
            }
        }
        servers
    }

    fn wanted(&self) -> Wanted {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn run(&self, mut runner: Runner) {
        while !self.stop.load(Ordering::Acquire) {
            runner.look(&self.wanted(), Instant::now());
            std::thread::park_timeout(LOOK);
        }
        runner.end();
    }
}

/// The fixed address, for the interface that has it.
fn fixed(network: &Network, name: &str, place: &Place) -> Option<String> {
    let Address::Fixed { address, prefix, .. } = network.address else { return None };
    let wanted = plan::wanted(network, &cards::cards(&place.at("/sys/class/net")));
    let has = |of: Ipv4Addr| matches!(wanted.get(name)?.role, plan::Role::Fixed { .. }).then_some(of);
    has(address).map(|address| format!("{address}/{prefix}"))
}
