//! Waiting for the program, and for what it says.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Output};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

/// Far beyond what a right run takes; a test that reaches it has failed.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// The lines of a child's stdout, as they come.
pub(crate) fn lines(child: &mut Child) -> Receiver<String> {
    let (tell, told) = sync_channel(10_000);
    let stdout: ChildStdout = child.stdout.take().unwrap();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if tell.send(line).is_err() {
                break;
            }
        }
    });
    told
}

/// Waits for a line with `part` in it.
pub(crate) fn line(lines: &Receiver<String>, part: &str) -> String {
    let end = Instant::now() + LONG;
    let mut before = Vec::new();
    while let Ok(line) = lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
        if line.contains(part) {
            return line;
        }
        before.push(line);
    }
    panic!("no line with {part:?} among\n{}", before.join("\n"));
}

/// Waits for the end of a child that says little on stderr.
pub(crate) fn output(mut child: Child) -> Output {
    let end = Instant::now() + LONG;
    let mut stdout = child.stdout.take();
    let reader = std::thread::spawn(move || {
        let mut all = Vec::new();
        if let Some(stdout) = &mut stdout {
            stdout.read_to_end(&mut all).unwrap();
        }
        all
    });
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > end {
            child.kill().unwrap();
            panic!("it doesn't end");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let rest = child.wait_with_output().unwrap();
    Output { stdout: reader.join().unwrap(), ..rest }
}

/// As Ctrl-C does.
pub(crate) fn interrupt(child: &Child) {
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
}
