//! The supervisor of the box with a real gateway under it, in a folder that plays the box.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use board::wire::NamedFile;
use board::{Identity as _, Power as _, Remote};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::harness::{Api, Poster, Site, eventually, program, run};

/// The files of a configuration.
const FILES: [&str; 5] = ["wagate.toml", "verify_token", "app_secret", "api_token", "crm_secret"];

struct Box_ {
    root: tempfile::TempDir,
    site: Site,
}

impl Box_ {
    /// A box whose configuration in force is that of a site.
    fn new() -> Self {
        let place = Self::empty();
        let folder = place.at("data/config/1");
        std::fs::create_dir_all(&folder).unwrap();
        for name in FILES {
            std::fs::copy(place.site.path().join(name), folder.join(name)).unwrap();
        }
        std::os::unix::fs::symlink("1", place.at("data/config/current")).unwrap();
        place
    }

    /// One without any.
    fn empty() -> Self {
        // Building it may take longer than a test has.
        program();
        let (root, site) = (tempfile::tempdir().unwrap(), Site::without_crm());
        site.write_config();
        let place = Self { root, site };
        std::fs::create_dir_all(place.at("data")).unwrap();
        place
    }

    /// Makes it one with two slots, of which b runs: on trial, with an attempt spent.
    fn on_trial(self, commit_within: u32) -> Self {
        let put = |path: &str, text: &str| {
            std::fs::create_dir_all(self.at(path).parent().unwrap()).unwrap();
            std::fs::write(self.at(path), text).unwrap();
        };
        put("etc/wagate/release", "VERSION=0.2.0\nBOARD=generic-arm64\nBUILT=1700000000\n");
        let line = format!("quiet wagate.slot=b wagate.left=2 wagate.commit_within={commit_within}\n");
        put("proc/cmdline", &line);
        put("proc/uptime", "20.00 30.00\n");
        let variables =
            "ORDER=B A\nA_OK=1\nA_LEFT=3\nB_OK=0\nB_LEFT=2\nRESET=0\nNOTE=none\nHANDED=none\nSANE=1\n";
        let text = format!("# GRUB Environment Block\n{variables}");
        for name in ["efi/grub/grubenv", "efi/grub/grubenv.bak"] {
            put(name, &format!("{text:#<1024}"));
        }
        self
    }

    /// Whether a line stands in GRUB's variables.
    fn has_variable(&self, line: &str) -> bool {
        let text = std::fs::read_to_string(self.at("efi/grub/grubenv")).unwrap();
        text.lines().any(|known| known == line)
    }

    fn console(&self) -> String {
        std::fs::read_to_string(self.at("console")).unwrap_or_default()
    }

    fn at(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    fn supervise(&self) -> Supervisor {
        let output = || Stdio::from(std::fs::File::create(self.at("console")).unwrap());
        let child = Command::new(program())
            .args(["machine", "supervise", "--root"])
            .arg(self.root.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(output())
            .spawn()
            .unwrap();
        Supervisor { child, root: self.root.path().to_owned() }
    }

    fn remote(&self) -> Remote {
        Remote::new(self.at("run/wagate/board.sock"))
    }

    async fn ready(&self) -> u32 {
        let api = Api::new(self.site.api_url());
        eventually("the gateway is ready", async || {
            let answer = api.ask(reqwest::Method::GET, "/readyz").await.ok()?;
            (answer.status() == 200).then_some(())
        })
        .await;
        self.gateway().unwrap()
    }

    /// The process id of the gateway.
    fn gateway(&self) -> Option<u32> {
        let text = std::fs::read_to_string(self.at("run/wagate/gateway.pid")).ok()?;
        text.split(' ').next()?.parse().ok()
    }
}

struct Supervisor {
    child: Child,
    root: PathBuf,
}

impl Supervisor {
    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.child.id().cast_signed()).unwrap(), signal).unwrap();
    }

    async fn exit(&mut self) -> Option<i32> {
        eventually("the supervisor leaves", async || self.child.try_wait().unwrap()).await.code()
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("{}", std::fs::read_to_string(self.root.join("console")).unwrap_or_default());
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        kill_by_file(&self.root.join("run/wagate/gateway.pid"));
    }
}

fn kill_by_file(file: &Path) {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    if let Some(pid) = text.split(' ').next().and_then(|pid| pid.parse().ok()).and_then(Pid::from_raw) {
        let _ = kill_process(pid, Signal::KILL);
    }
}

fn lives(pid: u32) -> bool {
    // A dead one that nobody has asked after yet is a zombie.
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let is_zombie = stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with('Z'));
    test_kill_process(Pid::from_raw(pid.cast_signed()).unwrap()).is_ok() && !is_zombie
}

#[test]
fn a_gateway_that_is_killed_is_started_again_with_all_that_it_had_taken() {
    run(async {
        let place = Box_::new();
        let mut supervisor = place.supervise();
        let first = place.ready().await;
        let poster = Poster::new(&place.site);
        let body = |n: u32| {
            format!(
                r#"{{"object":"whatsapp_business_account","entry":[{{"id":"1","changes":[{{"field":"x","value":{n}}}]}}]}}"#
            )
        };
        assert_eq!(poster.status(body(1)).await, 200);

        kill_process(Pid::from_raw(first.cast_signed()).unwrap(), Signal::KILL).unwrap();
        let second =
            eventually("another gateway", async || place.gateway().filter(|pid| *pid != first)).await;
        assert_eq!(place.ready().await, second);
        assert_eq!(poster.status(body(2)).await, 200);
        let api = Api::new(place.site.api_url());
        let page = api.get("/v1/records").await;
        assert_eq!(page["records"].as_array().unwrap().len(), 2, "{page}");

        // What was said is known, what happened is kept, and both can be asked for.
        let about = place.remote().about().unwrap();
        assert_eq!((about.box_id.as_str(), about.slots.len()), ("wagate", 0));
        let log = place.remote().log(1000).unwrap();
        assert!(log.iter().any(|line| line.starts_with("gateway: {")), "{log:#?}");
        assert!(
            log.iter().any(|line| line.contains(&format!("gateway starts as process {second}"))),
            "{log:#?}"
        );
        let tail = std::fs::read_to_string(place.at("data/box/log-tail-1")).unwrap();
        assert!(tail.contains(&format!("the process {first} was ended")), "{tail}");

        supervisor.signal(Signal::TERM);
        assert_eq!(supervisor.exit().await, Some(0));
        assert!(!lives(second), "it was waited for");
        let console = place.console();
        assert!(!console.contains("\"level\":\"INFO\""), "the console is for people: {console}");
    });
}

#[test]
fn a_supervisor_that_comes_after_a_crash_takes_over() {
    run(async {
        let place = Box_::new();
        let mut crashed = place.supervise();
        let old = place.ready().await;
        crashed.child.kill().unwrap();
        crashed.child.wait().unwrap();
        assert!(lives(old), "nobody has ended it yet");
        let mut supervisor = place.supervise();
        let new = eventually("another gateway", async || place.gateway().filter(|pid| *pid != old)).await;
        assert_eq!(place.ready().await, new);
        assert!(!lives(old));
        // A question for a new start ends the gateway in order, and then this process: here there is no machine.
        place.remote().reboot("the test is over").unwrap();
        assert_eq!(supervisor.exit().await, Some(0));
        assert!(!lives(new));
        let tails: Vec<String> = (1..=4)
            .filter_map(|n| std::fs::read_to_string(place.at(&format!("data/box/log-tail-{n}"))).ok())
            .collect();
        assert!(
            tails.iter().any(|tail| tail.contains("the machine starts anew: the test is over")),
            "{tails:#?}"
        );
    });
}

#[test]
fn a_refused_configuration_is_told_on_the_console_and_nothing_ends() {
    run(async {
        let place = Box_::new();
        std::fs::write(place.at("data/config/1/wagate.toml"), "[webhook]\nverify_tokn = \"x\"\n").unwrap();
        let mut supervisor = place.supervise();
        eventually("the mistakes are shown", async || place.console().contains("verify_tokn").then_some(()))
            .await;
        eventually("it is said what that means", async || {
            place.console().contains("the gateway refuses its configuration").then_some(())
        })
        .await;
        tokio::time::sleep(Duration::from_millis(1500)).await;
        assert!(supervisor.child.try_wait().unwrap().is_none());
        supervisor.signal(Signal::TERM);
        assert_eq!(supervisor.exit().await, Some(0));
    });
}

#[test]
fn a_version_on_trial_stays_once_it_has_put_a_webhook_of_its_own_on_the_disk() {
    run(async {
        // Nothing is to be had of the world outside, and that doesn't matter.
        let place = Box_::new().on_trial(150);
        let mut supervisor = place.supervise();
        place.ready().await;
        assert!(place.remote().about().unwrap().on_trial());
        eventually("it stays", async || place.has_variable("B_OK=1").then_some(())).await;
        assert!(!place.remote().about().unwrap().on_trial());
        let log = place.remote().log(1000).unwrap();
        assert!(log.iter().any(|line| line.contains("this version has proved itself and stays")), "{log:#?}");
        supervisor.signal(Signal::TERM);
        assert_eq!(supervisor.exit().await, Some(0));
        assert!(place.has_variable("ORDER=B A") && place.has_variable("A_OK=1"));
    });
}

#[test]
fn a_version_on_trial_whose_gateway_fails_is_given_up() {
    run(async {
        let place = Box_::new().on_trial(3);
        std::fs::write(place.at("data/config/1/wagate.toml"), "[webhook]\n").unwrap();
        let mut supervisor = place.supervise();
        // Here there is no machine that could start anew, so the process ends.
        assert_eq!(supervisor.exit().await, Some(0));
        for line in ["ORDER=A B", "B_OK=0", "B_LEFT=0", "NOTE=rolled-back", "A_OK=1"] {
            assert!(place.has_variable(line), "{line}");
        }
        let tail = std::fs::read_to_string(place.at("data/box/log-tail-1")).unwrap();
        assert!(tail.contains("didn't commit in time") || tail.contains("nobody had asked"), "{tail}");
    });
}

#[test]
fn a_new_box_invites_to_its_setup_page_on_console_and_card_and_not_in_the_log() {
    run(async {
        let place = Box_::empty().on_trial(300);
        let mut supervisor = place.supervise();
        let note = eventually("a note on the card", async || {
            std::fs::read_to_string(place.at("efi/wagate-setup.txt"))
                .ok()
                .filter(|note| note.contains("Code:"))
        })
        .await;
        let code = note.split("Code:").nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
        eventually("the code on the console", async || place.console().contains(&code).then_some(())).await;
        let log = eventually("the page waits", async || {
            let log = place.remote().log(1000).ok()?;
            log.iter().any(|line| line.contains("the setup page waits\",")).then_some(log)
        })
        .await;
        assert!(!log.iter().any(|line| line.contains(&code)), "the log is read from afar: {log:#?}");

        // A wrong one changes nothing; the right one would want the box's own folder for its store.
        let file = NamedFile { name: "wagate.toml".to_owned(), base64: STANDARD.encode("[webhook]\n") };
        let refused = place.remote().configure(vec![file]).unwrap_err();
        assert!(refused.text.contains("verify_token"), "{refused}");
        assert!(supervisor.child.try_wait().unwrap().is_none() && !place.at("data/config/current").exists());
        supervisor.signal(Signal::TERM);
        assert_eq!(supervisor.exit().await, Some(0));
    });
}
