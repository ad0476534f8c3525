//! The Debian package as it stands in the repository; `scripts/check-deb.sh` tries the built one.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::skip;

/// What `systemd-analyze security` may find at most: 0 is a service that can do nothing, 10 one that can do all.
const EXPOSURE_MAX: f64 = 1.5;

fn debian() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../gateway/debian")
}

fn unit() -> String {
    fs::read_to_string(debian().join("wagate.service")).unwrap()
}

/// All values of a key of the unit.
fn values(key: &str) -> Vec<String> {
    let start = format!("{key}=");
    unit().lines().filter_map(|line| line.strip_prefix(&start).map(str::to_owned)).collect()
}

#[test]
fn the_unit_is_exposed_as_little_as_promised() {
    let output = Command::new("systemd-analyze")
        .args(["security", "--offline=true", "--no-pager"])
        .arg(debian().join("wagate.service"))
        .output();
    let Ok(output) = output else {
        return skip("the exposure of the unit", "there is no systemd-analyze");
    };
    let said = String::from_utf8(output.stdout).unwrap();
    let line = said.lines().find(|line| line.contains("Overall exposure level")).unwrap_or_default();
    let exposure = line.split_whitespace().find_map(|word| word.parse::<f64>().ok());
    let exposure = exposure.unwrap_or_else(|| panic!("no figure in {said:?}"));
    println!("package: exposure {exposure}");
    assert!(exposure <= EXPOSURE_MAX, "{said}");
}

#[test]
fn the_unit_knows_every_word_but_those_of_a_newer_systemd() {
    // The program and the pages aren't installed here: only what is said about the file itself counts.
    let file = debian().join("wagate.service");
    let Ok(output) = Command::new("systemd-analyze").arg("verify").arg("--man=no").arg(&file).output() else {
        return skip("the words of the unit", "there is no systemd-analyze");
    };
    let said = String::from_utf8(output.stderr).unwrap();
    let name = file.to_str().unwrap();
    let about: Vec<&str> = said
        .lines()
        .filter(|line| line.starts_with(name))
        .filter(|line| !line.contains("'RestartSteps'") && !line.contains("'RestartMaxDelaySec'"))
        .collect();
    assert_eq!(about, [""; 0]);
}

#[test]
fn a_hang_is_noticed_and_a_failure_never_final() {
    for (key, value) in [
        ("Type", "notify"),
        ("WatchdogSec", "60"),
        ("Restart", "always"),
        ("StartLimitIntervalSec", "0"),
        ("ConditionPathExists", "/etc/wagate/wagate.toml"),
        ("Environment", "WAGATE_CONFINE=1"),
    ] {
        assert_eq!(values(key), [value], "{key}");
    }
}

#[test]
fn every_secret_of_the_example_is_a_credential_of_the_unit() {
    let loaded: BTreeSet<String> = values("LoadCredential").into_iter().collect();
    let example = debian().join("../../docs/operating/wagate.example.toml");
    let example = fs::read_to_string(example).unwrap();
    // As scripts/build-deb.sh writes them; capitals are those of the explanation.
    let is_name = |name: &&str| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    let needed: BTreeSet<String> = example
        .split("\"file:")
        .skip(1)
        .filter_map(|rest| Some(rest.split_once('"')?.0).filter(is_name))
        .map(|name| format!("wagate.{name}"))
        .collect();
    assert!(needed.contains("wagate.app_secret_new"), "{needed:?}");
    let missing: Vec<_> = needed.difference(&loaded).collect();
    assert!(missing.is_empty(), "the unit loads no {missing:?}");
}
