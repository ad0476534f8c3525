//! Whether a configuration is right for this box: what `wagate check` says, and what only a box can know.

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Component, Path};

use super::candidate::{CONFIGURATION, Candidate};
use super::names;
use crate::config::{self, Loaded, Problem, Problems, Severity, Text};

/// Where the gateway may write; the image leads `/var/lib/wagate` there.
const STORES: [&str; 2] = ["/data/store", "/var/lib/wagate"];

/// What came of a check.
#[derive(Debug)]
pub(super) struct Verdict {
    /// Whether the configuration can be used.
    pub(super) right: bool,
    /// What `wagate check` would print; warnings and the count are there also when it's right.
    pub(super) words: String,
}

/// Checks `candidate` in the folder `scratch`, which is made and removed again: in memory, so that the secrets of a
/// refused configuration never reach a disk.
///
/// # Errors
/// When the folder can't be written.
pub(super) fn check(candidate: &Candidate, scratch: &Path) -> io::Result<Verdict> {
    clear(scratch)?;
    let verdict = lay_out(candidate, scratch).map(|()| judge(candidate, scratch));
    clear(scratch)?;
    verdict
}

fn clear(scratch: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(scratch) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn lay_out(candidate: &Candidate, scratch: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(scratch)?;
    for (name, bytes) in &candidate.files {
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create_new(true).mode(0o600).open(scratch.join(name))?.write_all(bytes)?;
    }
    Ok(())
}

fn judge(candidate: &Candidate, folder: &Path) -> Verdict {
    let texts = config::strings(&candidate.source());
    let mut own = names::problems(&texts);
    own.extend(texts.iter().filter_map(store_problem));
    // On the box there is no environment to find a secret in.
    let (mut problems, card) = match config::load(&folder.join(CONFIGURATION), &|_| None) {
        Ok(loaded) => {
            // `run` would refuse them, and nobody stands beside the box then.
            own.extend(loaded.not_yet());
            own.extend(loaded.unusable());
            own.extend(listen_warnings(&loaded));
            (loaded.warnings, loaded.rate_card)
        }
        Err(problems) => (problems, None),
    };
    problems
        .list
        .retain(|problem| own.iter().all(|other| problem.key.is_empty() || other.key != problem.key));
    problems.list.extend(own);
    problems.list.sort_by_key(|problem| problem.span.as_ref().map_or(usize::MAX, |span| span.start));
    let right = !problems.refuse() && card.is_none();
    let mut words = problems.render(false);
    if let Some(card) = &card {
        words.push('\n');
        words.push_str(&Problems::render(card, false));
    }
    // On the medium they are called by their names alone.
    Verdict { right, words: words.replace(&format!("{}/", folder.display()), "") }
}

fn store_problem(text: &Text) -> Option<Problem> {
    let path = Path::new(&text.text);
    let inside = STORES.iter().any(|store| path.starts_with(store))
        && path.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
    (text.key.path == "store.path" && !inside).then(|| Problem {
        severity: Severity::Mistake,
        span: Some(text.span.clone()),
        key: text.path.clone(),
        message: "on the box only the data partition can be written, and of it the gateway's folder"
            .to_owned(),
        help: Some("leave this line out, or \"/data/store\"".to_owned()),
    })
}

fn listen_warnings(loaded: &Loaded) -> Vec<Problem> {
    let warning = |key: &str, listen: SocketAddr, who: &str, help: &str| {
        listen.ip().is_loopback().then(|| Problem {
            severity: Severity::Warning,
            span: None,
            key: key.to_owned(),
            message: format!("{who} can't reach {listen}: it is an address inside the box"),
            help: Some(help.to_owned()),
        })
    };
    let config = &loaded.config;
    let api = "listen = \"0.0.0.0:8080\" in [api], for a network that the store trusts";
    let webhook = "leave it out, or listen = \"0.0.0.0:443\" in [webhook]";
    [
        warning("api.listen", config.api.listen, "the CRM", api),
        warning("webhook.listen", config.webhook.listen, "Meta", webhook),
    ]
    .into_iter()
    .flatten()
    .collect()
}
