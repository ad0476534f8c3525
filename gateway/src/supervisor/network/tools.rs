//! The programs that the network is made with: `ip` and `udhcpc` of busybox, and this very one.

use std::ffi::OsString;
use std::fmt::Debug;
use std::io;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::super::place::{ANNOUNCE, Place};
use super::super::process::{Process, Spec, Starter};
use super::Services;

/// What the runner needs of the world.
pub(super) trait Tools: Debug + Send {
    /// Runs `ip` with these words to its end.
    ///
    /// # Errors
    /// With what it said.
    fn ip(&mut self, words: &[String]) -> Result<(), String>;

    /// Starts a client that asks for an address.
    fn ask(&mut self, interface: &str, hostname: &str) -> io::Result<Box<dyn Held>>;

    /// Starts the process that says the box's name.
    fn announce(&mut self, hostname: &str, services: Services) -> io::Result<Box<dyn Held>>;

    /// Gives the machine its name.
    fn name(&mut self, hostname: &str);
}

/// A process that runs until it's told to end.
pub(super) trait Held: Debug + Send {
    /// Whether it has ended by itself.
    fn is_over(&self) -> bool;

    /// Tells it to end.
    fn end(&self);
}

/// The real ones.
#[derive(Debug)]
pub(super) struct Busybox {
    starter: Starter,
    program: PathBuf,
    script: PathBuf,
}

#[derive(Debug)]
struct Started {
    process: Process,
    over: Arc<AtomicBool>,
}

impl Busybox {
    pub(super) fn new(place: &Place, starter: &Starter) -> Self {
        let program = std::env::current_exe().unwrap_or_else(|_| place.at("/bin/wagate"));
        Self { starter: starter.clone(), program, script: place.at("/etc/wagate/udhcpc.sh") }
    }

    fn start(&self, spec: &Spec) -> io::Result<Box<dyn Held>> {
        let over = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&over);
        let process = self.starter.start(spec, move |_, _| told.store(true, Ordering::Release))?;
        Ok(Box::new(Started { process, over }))
    }
}

impl Held for Started {
    fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    fn end(&self) {
        self.process.terminate();
    }
}

fn path() -> (&'static str, OsString) {
    ("PATH", "/bin:/sbin".into())
}

impl Tools for Busybox {
    fn ip(&mut self, words: &[String]) -> Result<(), String> {
        let mut command = Command::new("ip");
        command.args(words).env_clear().envs([path()]).stdin(Stdio::null());
        let output = command.output().map_err(|error| error.to_string())?;
        if output.status.success() {
            return Ok(());
        }
        Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    }

    fn ask(&mut self, interface: &str, hostname: &str) -> io::Result<Box<dyn Held>> {
        // In the foreground; four questions at 2 s, then a pause of 8 s, for ever.
        let words = format!("-f -i {interface} -t 4 -T 2 -A 8 -O ntpsrv -x hostname:{hostname} -s");
        let args = words.split(' ').map(OsString::from).chain([self.script.clone().into()]);
        self.start(&Spec {
            name: format!("udhcpc-{interface}"),
            program: "/bin/udhcpc".into(),
            args: args.collect(),
            env: vec![path()],
            user: None,
        })
    }

    fn announce(&mut self, hostname: &str, services: Services) -> io::Result<Box<dyn Held>> {
        self.start(&announcer(self.program.clone(), hostname, services))
    }

    fn name(&mut self, hostname: &str) {
        if let Err(error) = rustix::system::sethostname(hostname.as_bytes()) {
            tracing::warn!(%error, "the machine keeps its old name");
        }
    }
}

/// It reads what anybody in the local network sends, so it is nobody whom the supervisor answers.
fn announcer(program: PathBuf, hostname: &str, services: Services) -> Spec {
    let mut args: Vec<OsString> = vec!["machine".into(), "announce".into(), hostname.into()];
    for (name, port) in [("--https", services.https), ("--http", services.http)] {
        if let Some(port) = port {
            args.extend([name.into(), port.to_string().into()]);
        }
    }
    Spec {
        name: "announce".to_owned(),
        program,
        args,
        env: vec![path(), ("WAGATE_CONFINE", "1".into())],
        user: Some(ANNOUNCE),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::starting::may_ask;
    use super::*;

    #[test]
    fn who_says_the_name_is_nobody_whom_the_supervisor_answers() {
        let services = Services { https: Some(443), http: None };
        let spec = announcer("/bin/wagate".into(), "wagate-7f3a", services);
        let user = spec.user.unwrap();
        assert!(user != 0 && !may_ask(&Place::new(None), 0).contains(&user));
        assert_eq!(spec.args, ["machine", "announce", "wagate-7f3a", "--https", "443"]);
    }
}
