//! What the program says, kept for failures and held to what it must not say.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use serde_json::Value;

/// Lines shown of a program whose test fails: from the start and from the end.
const SHOWN: usize = 120;

/// The stderr of one process.
pub(crate) struct Log {
    lines: Arc<Mutex<Vec<String>>>,
    reader: Option<JoinHandle<()>>,
}

impl Log {
    pub(crate) fn read(stderr: impl Read + Send + 'static) -> Self {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&lines);
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(stderr).split(b'\n').map_while(Result::ok) {
                kept.lock().unwrap().push(String::from_utf8_lossy(&line).into_owned());
            }
        });
        Self { lines, reader: Some(reader) }
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    /// The first line with this message, as JSON.
    pub(crate) fn find(&self, message: &str) -> Option<Value> {
        let lines = self.lines.lock().unwrap();
        let mut parsed = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        parsed.find(|line| line["message"].as_str().is_some_and(|said| said.contains(message)))
    }

    pub(crate) fn show(&self) {
        let lines = self.lines();
        let skipped = lines.len().saturating_sub(2 * SHOWN);
        println!("---- the program said, {} lines:", lines.len());
        for (place, line) in lines.iter().enumerate() {
            if place < SHOWN || place >= SHOWN + skipped {
                println!("{line}");
            } else if place == SHOWN {
                println!("… {skipped} lines …");
            }
        }
    }

    /// Drops what was said, where it isn't a log but a talk with a person.
    pub(crate) fn forget(&self) {
        self.lines.lock().unwrap().clear();
    }

    /// Waits for the last lines of a process that has ended.
    pub(crate) fn finish(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
    }

    /// Above DEBUG a line must hold nothing that says who wrote what: no wamid, no phone number,
    /// none of `words`. Each line is JSON. `ids` are those by which Meta knows the store's own numbers.
    pub(crate) fn assert_discreet(&self, words: &BTreeSet<String>, ids: &[String]) {
        for line in self.lines() {
            let parsed: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("not JSON: {line}"));
            let level = parsed["level"].as_str().unwrap_or_else(|| panic!("without a level: {line}"));
            assert_ne!(level, "PANIC");
            if matches!(level, "DEBUG" | "TRACE") {
                continue;
            }
            assert!(!line.contains("wamid."), "a wamid in a {level} line: {line}");
            let mut parts = line.split(|c: char| !c.is_alphanumeric());
            let phone = parts.find(|part| {
                (10..=15).contains(&part.len())
                    && part.bytes().all(|byte| byte.is_ascii_digit())
                    && !ids.iter().any(|id| id == part)
            });
            assert!(phone.is_none(), "like a phone number in a {level} line: {line}");
            let word = words.iter().find(|word| line.contains(word.as_str()));
            assert!(word.is_none(), "content in a {level} line: {line}");
        }
    }
}
