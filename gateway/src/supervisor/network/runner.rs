//! Does what the plan says, and sees that those who ask for addresses live.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::super::place::Place;
use super::plan::{self, Interfaces, Role, Step};
use super::tools::{Held, Tools};
use super::{Services, Wanted, cards, lease};

/// A process that ends by itself is started again no sooner than this after its last start.
const AGAIN_AFTER: Duration = Duration::from_secs(5);

/// See the module.
#[derive(Debug)]
pub(super) struct Runner {
    tools: Box<dyn Tools>,
    sys: PathBuf,
    resolv: PathBuf,
    leases: PathBuf,
    made: Interfaces,
    clients: BTreeMap<String, Post>,
    announcer: Post,
    named: (String, Services),
    /// What has been complained about, and isn't again.
    complaint: String,
}

/// A place for one process.
#[derive(Debug, Default)]
struct Post {
    held: Option<Box<dyn Held>>,
    since: Option<Instant>,
}

impl Post {
    /// Whether somebody has to be started now.
    fn is_free(&mut self, now: Instant) -> bool {
        if self.held.as_ref().is_some_and(|held| held.is_over()) {
            self.held = None;
        }
        self.held.is_none()
            && self.since.is_none_or(|since| now.saturating_duration_since(since) >= AGAIN_AFTER)
    }

    fn fill(&mut self, held: std::io::Result<Box<dyn Held>>, now: Instant) {
        self.since = Some(now);
        match held {
            Ok(held) => self.held = Some(held),
            Err(error) => tracing::warn!(%error, "a process of the network couldn't be started"),
        }
    }

    fn end(&mut self) {
        if let Some(held) = self.held.take() {
            held.end();
        }
        self.since = None;
    }
}

impl Runner {
    pub(super) fn new(place: &Place, tools: Box<dyn Tools>) -> Self {
        Self {
            tools,
            sys: place.at("/sys/class/net"),
            resolv: place.at("/run/resolv.conf"),
            leases: place.at(board::paths::LEASES),
            made: Interfaces::new(),
            clients: BTreeMap::new(),
            announcer: Post::default(),
            named: <(String, Services)>::default(),
            complaint: String::new(),
        }
    }

    /// Brings what is there nearer to what is wanted.
    pub(super) fn look(&mut self, wanted: &Wanted, now: Instant) {
        self.names(wanted);
        let cards = cards::cards(&self.sys);
        let goal = plan::wanted(&wanted.network, &cards);
        let mut left: Interfaces = goal.clone();
        let mut complaint = String::new();
        for (name, steps) in plan::steps(&self.made, &goal, &cards) {
            for step in steps {
                if let Err(error) = self.step(&step) {
                    // It's made anew at the next look.
                    left.remove(&name);
                    complaint = format!("{name}: {error}");
                }
            }
        }
        if !complaint.is_empty() && complaint != self.complaint {
            tracing::warn!("the network isn't as it should be: {complaint}");
        }
        self.complaint = complaint;
        self.made = left;
        self.clients.retain(|name, post| {
            let asks = goal.get(name).is_some_and(|interface| interface.role == Role::Dhcp);
            if !asks {
                post.end();
                lease::forget(&self.leases, name);
            }
            asks
        });
        for (name, post) in &mut self.clients {
            if post.is_free(now) {
                post.fill(self.tools.ask(name, &wanted.hostname), now);
            }
        }
        if self.announcer.is_free(now) && !self.made.is_empty() {
            self.announcer.fill(self.tools.announce(&wanted.hostname, wanted.services), now);
        }
        if let Some(text) = plan::resolvers(&wanted.network)
            && std::fs::read_to_string(&self.resolv).ok().as_deref() != Some(text.as_str())
            && let Err(error) = std::fs::write(&self.resolv, text)
        {
            tracing::debug!(%error, "resolv.conf can't be written");
        }
    }

    /// Ends all that was started.
    pub(super) fn end(&mut self) {
        self.clients.values_mut().for_each(Post::end);
        self.announcer.end();
    }

    fn names(&mut self, wanted: &Wanted) {
        let named = (wanted.hostname.clone(), wanted.services);
        if named.0 != self.named.0 {
            self.tools.name(&wanted.hostname);
            self.clients.values_mut().for_each(Post::end);
        }
        if named != self.named {
            self.announcer.end();
            self.named = named;
        }
    }

    fn step(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::Ask(name) => {
                self.clients.entry(name.clone()).or_default();
                Ok(())
            }
            Step::AskNoMore(name) => {
                if let Some(mut post) = self.clients.remove(name) {
                    post.end();
                }
                lease::forget(&self.leases, name);
                Ok(())
            }
            Step::AddVlan { card, id } if cards::exists(&self.sys, &plan::vlan_name(card, *id)) => Ok(()),
            Step::DeleteVlan(name) if !cards::exists(&self.sys, name) => Ok(()),
            Step::Up(_)
            | Step::AddVlan { .. }
            | Step::DeleteVlan(_)
            | Step::Clear(_)
            | Step::Give(..)
            | Step::Gateway(..) => plan::ip(step).map_or(Ok(()), |words| self.tools.ip(&words)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Arc, Mutex};

    use super::super::cards::tests::plug;
    use super::*;
    use crate::config::Network;

    /// Writes down what it is told to do.
    #[derive(Debug, Default, Clone)]
    struct Recorder {
        done: Arc<Mutex<Vec<String>>>,
        refuse: Arc<Mutex<Option<&'static str>>>,
        died: Arc<AtomicBool>,
    }

    #[derive(Debug)]
    struct Child(Recorder, String);

    impl Held for Child {
        fn is_over(&self) -> bool {
            self.0.died.load(Ordering::Relaxed)
        }

        fn end(&self) {
            self.0.note(format!("end {}", self.1));
        }
    }

    impl Recorder {
        fn note(&self, what: String) {
            self.done.lock().unwrap().push(what);
        }

        fn taken(&self) -> Vec<String> {
            std::mem::take(&mut self.done.lock().unwrap())
        }
    }

    impl Tools for Recorder {
        fn ip(&mut self, words: &[String]) -> Result<(), String> {
            let words = words.join(" ");
            if self.refuse.lock().unwrap().is_some_and(|refused| words.contains(refused)) {
                return Err("No such device".to_owned());
            }
            self.note(words);
            Ok(())
        }

        fn ask(&mut self, interface: &str, hostname: &str) -> std::io::Result<Box<dyn Held>> {
            self.note(format!("ask on {interface} as {hostname}"));
            Ok(Box::new(Child(self.clone(), format!("asking on {interface}"))))
        }

        fn announce(&mut self, hostname: &str, services: Services) -> std::io::Result<Box<dyn Held>> {
            self.note(format!("announce {hostname} {:?} {:?}", services.https, services.http));
            Ok(Box::new(Child(self.clone(), "announcing".to_owned())))
        }

        fn name(&mut self, hostname: &str) {
            self.note(format!("name {hostname}"));
        }
    }

    struct Stage {
        root: tempfile::TempDir,
        recorder: Recorder,
        runner: Runner,
        wanted: Wanted,
        now: Instant,
    }

    impl Stage {
        fn new() -> Self {
            let root = tempfile::tempdir().unwrap();
            std::fs::create_dir_all(root.path().join("sys/class/net")).unwrap();
            std::fs::create_dir_all(root.path().join("run")).unwrap();
            let recorder = Recorder::default();
            let runner = Runner::new(&Place::new(Some(root.path())), Box::new(recorder.clone()));
            let services = Services { https: Some(443), http: None };
            let wanted = Wanted { hostname: "wagate-7f3a".to_owned(), services, ..Wanted::default() };
            Self { root, recorder, runner, wanted, now: Instant::now() }
        }

        fn plug(&self, name: &str, index: u32, carrier: bool) {
            plug(&self.root.path().join("sys/class/net"), name, index, carrier);
        }

        fn look(&mut self) -> Vec<String> {
            self.now += Duration::from_secs(2);
            self.runner.look(&self.wanted, self.now);
            self.recorder.taken()
        }
    }

    #[test]
    fn cards_may_come_late_and_go_again() {
        let mut stage = Stage::new();
        assert_eq!(stage.look(), ["name wagate-7f3a"]);
        stage.plug("eth0", 2, false);
        let up =
            ["link set dev eth0 up", "ask on eth0 as wagate-7f3a", "announce wagate-7f3a Some(443) None"];
        assert_eq!(stage.look(), up);
        assert_eq!(stage.look(), Vec::<String>::new(), "nothing changes, nothing is done");
        stage.plug("eth0", 2, true);
        assert_eq!(stage.look(), ["end asking on eth0", "ask on eth0 as wagate-7f3a"], "the cable is in");
        std::fs::remove_dir_all(stage.root.path().join("sys/class/net/eth0")).unwrap();
        assert_eq!(stage.look(), ["end asking on eth0"]);
    }

    #[test]
    fn who_ends_is_started_again_but_not_at_once() {
        let mut stage = Stage::new();
        stage.plug("eth0", 2, true);
        stage.look();
        stage.recorder.died.store(true, Ordering::Relaxed);
        assert_eq!((stage.look().len(), stage.look().len()), (0, 0));
        assert_eq!(stage.look(), ["ask on eth0 as wagate-7f3a", "announce wagate-7f3a Some(443) None"]);
    }

    #[test]
    fn what_is_refused_is_tried_again() {
        let mut stage = Stage::new();
        stage.plug("eth0", 2, true);
        stage.wanted.network = Network { vlan: Some(20), ..Network::default() };
        *stage.recorder.refuse.lock().unwrap() = Some("link add");
        stage.look();
        assert!(!stage.look().iter().any(|step| step.contains("add")));
        *stage.recorder.refuse.lock().unwrap() = None;
        let steps = stage.look();
        assert!(steps.contains(&"link add link eth0 name eth0.20 type vlan id 20".to_owned()), "{steps:?}");
        assert_eq!(stage.look(), Vec::<String>::new());
    }

    #[test]
    fn another_name_is_told_to_everybody() {
        let mut stage = Stage::new();
        stage.plug("eth0", 2, true);
        stage.look();
        stage.wanted.hostname = "shop".to_owned();
        assert_eq!(
            stage.look(),
            [
                "name shop",
                "end asking on eth0",
                "end announcing",
                "ask on eth0 as shop",
                "announce shop Some(443) None"
            ]
        );
    }

    #[test]
    fn resolvers_of_the_configuration_stay_whatever_dhcp_writes() {
        let mut stage = Stage::new();
        let file = stage.root.path().join("run/resolv.conf");
        std::fs::write(&file, "nameserver 10.0.0.1\n").unwrap();
        stage.look();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "nameserver 10.0.0.1\n");
        stage.wanted.network.dns = vec!["9.9.9.9".parse().unwrap()];
        stage.look();
        std::fs::write(&file, "nameserver 10.0.0.1\n").unwrap();
        stage.look();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "nameserver 9.9.9.9\n");
    }
}
