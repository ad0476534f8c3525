//! A benchmark that is told to stop leaves nothing behind.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

#[test]
fn a_signal_ends_the_servers_and_clears_the_folder() {
    for signal in ["-TERM", "-INT"] {
        let folder = tempfile::tempdir().unwrap();
        let (gateway, stores) = (folder.path().join("gateway"), folder.path().join("stores"));
        fs::create_dir(&stores).unwrap();
        // A gateway that never answers, and says who it is.
        let script = format!("#!/bin/sh\necho $$ > {}/id\nexec sleep 120\n", folder.path().display());
        fs::write(&gateway, script).unwrap();
        fs::set_permissions(&gateway, fs::Permissions::from_mode(0o700)).unwrap();
        let mut bench = Command::new(env!("CARGO_BIN_EXE_wagate-bench"))
            .args(["path", "--no-peer", "--seconds", "0.1", "--only", "busy"])
            .args(["--gateway".as_ref(), gateway.as_os_str(), "--folder".as_ref(), stores.as_os_str()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let id = until("the gateway starts", || {
            let id = fs::read_to_string(folder.path().join("id")).ok()?;
            (!id.trim().is_empty()).then(|| id.trim().to_owned())
        });
        assert!(runs(&id) && fs::read_dir(&stores).unwrap().count() == 1);

        assert!(Command::new("kill").args([signal, &bench.id().to_string()]).status().unwrap().success());
        let status = until("the benchmark ends", || bench.try_wait().unwrap());
        assert_eq!(status.code(), Some(130), "{signal}");
        until("the gateway is gone", || (!runs(&id)).then_some(()));
        assert_eq!(fs::read_dir(&stores).unwrap().count(), 0, "{signal}");
    }
}

/// Whether there is such a process, and not only what is left of it until its new parent looks.
fn runs(id: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, fields)| !fields.starts_with(['Z', 'X']))
}

fn until<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(start.elapsed() < Duration::from_secs(20), "not in time: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
