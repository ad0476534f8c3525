//! The repository checks itself: crate arrows, file length, leftovers, links, forms.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// What each library may depend on of our own crates. `gateway` and the tests know them all.
const ARROWS: &[(&str, &[&str])] = &[
    ("wagate-model", &[]),
    ("wagate-records", &["wagate-model"]),
    ("wagate-policy", &["wagate-model"]),
    ("wagate-ingress", &["wagate-model"]),
    ("wagate-store", &["wagate-model"]),
    // The shell around `policy::delivery`.
    ("wagate-egress", &["wagate-model", "wagate-policy"]),
    // Queue, lanes and ledgers around `policy::sending`.
    ("wagate-outbox", &["wagate-model", "wagate-policy"]),
    ("wagate-simulate", &["wagate-model"]),
    // The machine below; it knows nothing of messages.
    ("wagate-board", &[]),
];

/// What a library's tests need beside that, and the library itself may not.
const FOR_TESTS: &[(&str, &str)] = &[("wagate-outbox", "wagate-store")];

/// These hold no socket and run without a runtime, whatever they depend on.
const WITHOUT_SOCKETS: &[&str] =
    &["wagate-model", "wagate-records", "wagate-policy", "wagate-store", "wagate-outbox"];
/// What they would need for one.
const SOCKETS: &[&str] = &["tokio", "hyper", "reqwest", "rustls", "axum", "mio", "socket2"];

/// Where the code of the program is.
const OURS: &[&str] = &["board", "crates", "gateway"];
/// What owns the machine, and may therefore name its parts; everything else of the gateway knows the traits alone, so
/// that it runs on a machine without a board, and under another supervisor.
const OWNERS: &[&str] = &["gateway/src/supervisor/", "gateway/src/cli/machine.rs"];

/// Lines of a file beside its tests.
const LINES_MAX: usize = 400;
/// Words that say that something is unfinished, in two parts so that they don't stand here.
const LEFTOVERS: &[(&str, &str)] =
    &[("todo", "!("), ("unimplemented", "!("), ("dbg", "!("), ("FIX", "ME"), ("XX", "X"), ("TO", "DO")];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ is in the repository").to_owned()
}

/// All files below `folder` with one of these extensions, by their paths from the root.
fn files(folder: &str, extensions: &[&str]) -> Vec<String> {
    let root = root();
    let mut found = Vec::new();
    let mut folders = vec![root.join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap().map(Result::unwrap) {
            let (path, name) = (entry.path(), entry.file_name().into_string().unwrap());
            if entry.file_type().unwrap().is_dir() {
                if !name.starts_with('.') && name != "target" && name != "dist" {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|known| extensions.iter().any(|one| known == *one)) {
                found.push(path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    found.sort();
    assert!(!found.is_empty(), "nothing found below {folder:?}");
    found
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A source file without the tests at its end.
fn code(path: &str) -> String {
    let text = read(path);
    let tests = ["", "pub(super) ", "pub(crate) "].map(|seen| format!("\n#[cfg(test)]\n{seen}mod tests"));
    let end = tests.iter().filter_map(|start| text.find(start.as_str())).min();
    text[..end.unwrap_or(text.len())].to_owned()
}

/// Package to what it depends on, test dependencies included, as `Cargo.lock` has it.
fn locked() -> BTreeMap<String, BTreeSet<String>> {
    let lock = read("Cargo.lock");
    let mut packages: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in lock.split("[[package]]").skip(1) {
        let quoted = |line: &str| line.split('"').nth(1).unwrap_or_default().to_owned();
        let name = package.lines().find(|line| line.starts_with("name = ")).map(quoted).unwrap();
        let list = package.split_once("dependencies = [").map_or("", |(_, list)| list);
        // `"name"`, or `"name version"` where there are two.
        let names = list.lines().map(quoted).filter_map(|entry| Some(entry.split(' ').next()?.to_owned()));
        packages.entry(name).or_default().extend(names.filter(|name| !name.is_empty()));
    }
    packages
}

fn all_beneath(packages: &BTreeMap<String, BTreeSet<String>>, name: &str) -> BTreeSet<String> {
    let mut beneath = BTreeSet::new();
    let mut left = vec![name];
    while let Some(name) = left.pop() {
        for dependency in packages.get(name).into_iter().flatten() {
            if beneath.insert(dependency.clone()) {
                left.push(dependency);
            }
        }
    }
    beneath
}

#[test]
fn the_crates_form_a_star() {
    let packages = locked();
    let ours: BTreeSet<&str> =
        packages.keys().map(String::as_str).filter(|name| name.starts_with("wagate")).collect();
    let known: BTreeSet<&str> = ARROWS
        .iter()
        .map(|(name, _)| *name)
        .chain(["wagate", "wagate-bench", "wagate-machine", "wagate-micro", "wagate-tests"])
        .collect();
    assert_eq!(ours, known, "a crate came or went: say in ARROWS what it may depend on");
    for (name, allowed) in ARROWS {
        let arrows: BTreeSet<&str> =
            packages[*name].iter().map(String::as_str).filter(|name| ours.contains(name)).collect();
        let for_tests = FOR_TESTS.iter().filter(|(of, _)| of == name).map(|(_, needed)| *needed);
        let allowed: BTreeSet<&str> = allowed.iter().copied().chain(for_tests).collect();
        assert_eq!(arrows, allowed, "{name}: see docs/decisions/0004-crate-map.md");
    }
    for (name, needed) in FOR_TESTS {
        let short = |name: &str| name.strip_prefix("wagate-").unwrap_or(name).to_owned();
        let manifest = read(&format!("crates/{}/Cargo.toml", short(name)));
        let (code, tests) = manifest.split_once("[dev-dependencies]").unwrap();
        let stands = |part: &str| part.lines().any(|line| line.starts_with(&short(needed)));
        assert!(!stands(code) && stands(tests), "{name} needs {needed} for its tests only");
    }
}

#[test]
fn the_pure_crates_and_the_store_have_no_sockets() {
    let packages = locked();
    assert!(all_beneath(&packages, "wagate").contains("tokio"), "Cargo.lock isn't read as it should be");
    for name in WITHOUT_SOCKETS {
        let beneath = all_beneath(&packages, name);
        let sockets: Vec<_> = SOCKETS.iter().filter(|socket| beneath.contains(**socket)).collect();
        assert!(sockets.is_empty(), "{name} depends on {sockets:?}");
    }
}

#[test]
fn only_the_supervisor_names_the_parts_of_the_machine() {
    let sources = files("gateway/src", &["rs"]).into_iter().chain(files("crates", &["rs"]));
    let naming: Vec<String> =
        sources.filter(|path| read(path).contains(&["board", "linux"].join("::"))).collect();
    let owns = |path: &String| OWNERS.iter().any(|owner| path.starts_with(owner));
    for owner in OWNERS {
        assert!(naming.iter().any(|path| path.starts_with(owner)), "{owner} isn't searched as it should be");
    }
    let others: Vec<_> = naming.iter().filter(|path| !owns(path)).collect();
    assert!(others.is_empty(), "{others:?}: ask through the traits of `board`");
}

#[test]
fn no_source_file_is_too_long() {
    let long: Vec<String> = OURS
        .iter()
        .flat_map(|folder| files(folder, &["rs"]))
        .filter(|path| path.contains("/src/") && code(path).lines().count() > LINES_MAX)
        .collect();
    assert!(long.is_empty(), "over {LINES_MAX} lines, what is the second concept in {long:?}?");
}

#[test]
fn nothing_is_left_over() {
    let mut found = Vec::new();
    for path in files("", &["rs", "toml", "md", "sh", "json"]) {
        // What strangers send may hold any word.
        if path.contains("/fixtures/") || path.contains("/golden/") || path.contains("corpus/") {
            continue;
        }
        for (number, line) in read(&path).lines().enumerate() {
            let unmerged = line.starts_with("<<<<<<<") || line.starts_with(">>>>>>>");
            if unmerged || LEFTOVERS.iter().any(|(one, two)| has_word(line, &format!("{one}{two}"))) {
                found.push(format!("{path}:{}", number + 1));
            }
        }
    }
    assert!(found.is_empty(), "finish it, or say in words what is missing: {found:#?}");
}

/// Whether `word` stands in the line on its own, not within a longer one (as in `\uXXXX`).
fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(place, _)| {
        let before = line[..place].chars().next_back();
        let behind = line[place + word.len()..].chars().next();
        let part_of_word =
            |sign: Option<char>| sign.is_some_and(|sign| sign.is_alphanumeric() || sign == '_');
        !part_of_word(before) && (word.ends_with('(') || !part_of_word(behind))
    })
}

fn documents() -> Vec<String> {
    let mut documents = files("docs", &["md"]);
    documents.extend(["README.md", "CHANGELOG.md", "SECURITY.md"].map(str::to_owned));
    documents
}

/// The lines outside of fenced blocks.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut fenced = false;
    text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    })
}

/// The anchor that a heading gets.
fn anchor(heading: &str) -> String {
    let words = heading.trim_start_matches('#').trim().to_lowercase();
    words
        .chars()
        .filter(|sign| sign.is_alphanumeric() || " -_".contains(*sign))
        .map(|sign| if sign == ' ' { '-' } else { sign })
        .collect()
}

#[test]
fn links_lead_somewhere() {
    let mut dead = Vec::new();
    for document in documents() {
        let text = read(&document);
        for line in prose(&text) {
            for target in line.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
                if target.contains("://") || target.starts_with("mailto:") {
                    continue;
                }
                let (path, fragment) = target.split_once('#').unwrap_or((target, ""));
                let folder = root().join(&document).parent().unwrap().to_owned();
                let file = if path.is_empty() { root().join(&document) } else { folder.join(path) };
                let alive = file.exists()
                    && (fragment.is_empty()
                        || fs::read_to_string(&file)
                            .is_ok_and(|text| prose(&text).any(|line| anchor(line) == fragment)));
                if !alive {
                    dead.push(format!("{document}: {target}"));
                }
            }
        }
    }
    assert!(dead.is_empty(), "{dead:#?}");
}

#[test]
fn files_that_the_documents_name_are_there() {
    let mut gone = Vec::new();
    for document in documents() {
        let text = read(&document);
        for line in prose(&text) {
            for name in line.split('`').skip(1).step_by(2) {
                let ours = ["board/", "crates/", "gateway/", "scripts/", "tests/", "docs/", ".ci/"];
                let is_path = ours.iter().any(|folder| name.starts_with(folder))
                    && !name.contains([' ', '*', '{', '<', '…']);
                if is_path && !root().join(name).exists() {
                    gone.push(format!("{document}: {name}"));
                }
            }
        }
    }
    assert!(gone.is_empty(), "{gone:#?}");
}

/// The names in code that begin with `wagate_` and stand as a whole text.
fn metrics() -> BTreeSet<String> {
    let sources = OURS.iter().flat_map(|folder| files(folder, &["rs"]));
    let sources = sources.filter(|path| path.contains("/src/") && !path.contains("simulate/"));
    sources
        .flat_map(|path| {
            code(&path).split("\"wagate_").skip(1).map(|rest| format!("wagate_{rest}")).collect::<Vec<_>>()
        })
        .filter_map(|rest| rest.split('"').next().map(str::to_owned))
        .filter(|name| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'))
        .collect()
}

#[test]
fn every_metric_is_explained_to_the_operator() {
    let metrics = metrics();
    assert!(metrics.contains("wagate_webhooks"), "the code isn't searched as it should be");
    let page = read("docs/operating/metrics.md");
    let explained = |name: &String| {
        // A counter is shown with `_total` behind the name that it is registered under.
        [format!("`{name}`"), format!("`{name}{{"), format!("`{name}_total")]
            .iter()
            .any(|form| page.contains(form.as_str()))
    };
    let silent: Vec<_> = metrics.iter().filter(|name| !explained(name)).collect();
    assert!(silent.is_empty(), "docs/operating/metrics.md says nothing of {silent:?}");
}

#[test]
fn the_changelog_has_its_form() {
    let text = read("CHANGELOG.md");
    assert_eq!(text.lines().next(), Some("# Changelog"));
    let mut dates = Vec::new();
    for line in text.lines() {
        if let Some(version) = line.strip_prefix("## ") {
            if version == "Unreleased" {
                assert!(dates.is_empty(), "what isn't released comes first");
                continue;
            }
            // `## 0.1.0 - 2026-11-21`
            let (number, date) = version.split_once(" - ").unwrap_or_else(|| panic!("{line}"));
            assert_eq!(number.split('.').filter(|part| part.parse::<u32>().is_ok()).count(), 3, "{line}");
            let digits: Vec<usize> = date.split('-').map(str::len).collect();
            assert_eq!(digits, [4, 2, 2], "{line}");
            dates.push(date.to_owned());
        } else if let Some(section) = line.strip_prefix("### ") {
            let known = ["Added", "Changed", "Fixed", "Removed", "Security", "Not yet"];
            assert!(known.contains(&section), "{line}");
        }
    }
    assert!(dates.is_sorted_by(|newer, older| newer >= older), "the newest comes first: {dates:?}");
}

#[test]
fn every_decision_is_listed_dated_and_numbered() {
    let index = read("docs/decisions/README.md");
    let decisions: Vec<String> = files("docs/decisions", &["md"])
        .into_iter()
        .filter_map(|path| path.strip_prefix("docs/decisions/").map(str::to_owned))
        .filter(|name| name != "README.md")
        .collect();
    for (place, name) in decisions.iter().enumerate() {
        assert!(name.starts_with(&format!("{:04}-", place + 1)), "numbers have no gaps: {name}");
        assert!(index.contains(&format!("]({name})")), "{name} isn't in docs/decisions/README.md");
        let text = read(&format!("docs/decisions/{name}"));
        let has = |start: &str| text.lines().any(|line| line.starts_with(start));
        for part in ["- Date: 20", "- Status: ", "## Context", "## Decision", "## Why", "## Rejected"] {
            assert!(has(part), "{name} has no line that begins with {part:?}");
        }
    }
}
