//! The last configuration that worked, kept for the day when a new one doesn't.
//!
//! After a start [`keep`] writes the text, the name of its file and the folder that its relative
//! paths refer to into the store, and, where that can be written, beside the configuration file
//! too. When a file is refused, [`start`] looks for what was kept for that same file:
//!
//! 1. in the store that the refused file names, if that much of it can still be read;
//! 2. beside the file, for a mistake in `[store]` itself;
//! 3. in the default store, for a folder of configuration that can't be written.
//!
//! The copy holds what the file held, inline secrets included, so only its owner may read it.
//! Secrets elsewhere aren't copied: they are read anew. A copy that can't be read, or has
//! mistakes itself, is passed over.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::keys::{Fallback, Form};
use super::{Env, Loaded, Problems, Source, load, parse, syntax};

/// The name of the copy in the store.
pub const IN_STORE: &str = "accepted.json";
/// What is put behind the configuration file's name for the copy beside it.
pub const BESIDE: &str = ".accepted.json";
/// The version of the copy's format.
const FORMAT: u32 = 1;

/// What a program starts with.
#[derive(Debug, Clone)]
pub struct Start {
    /// The configuration.
    pub loaded: Loaded,
    /// What is wrong with the file, when `loaded` is the one that was kept. To be said loudly.
    pub refused: Option<Problems>,
}

/// The copy as it's written.
#[derive(Serialize, Deserialize)]
struct Kept {
    format: u32,
    file: PathBuf,
    base: PathBuf,
    text: String,
}

/// Reads the configuration to start with: the file, or, when that is refused, the last one of
/// that file that worked.
///
/// # Errors
/// When the file is refused and there is no other.
pub fn start(path: &Path, env: Env<'_>) -> Result<Start, Problems> {
    match load(path, env).and_then(possible) {
        Ok(loaded) => Ok(Start { loaded, refused: None }),
        Err(refused) => match kept(path, &refused.source, env, |_| true) {
            Some(loaded) => Ok(Start { loaded, refused: Some(refused) }),
            None => Err(refused),
        },
    }
}

/// The same for a program that is to run: a file with certificates that it couldn't start with counts as refused, too,
/// where the last one that worked does better. Where it doesn't the start itself has to say what is wrong.
///
/// # Errors
/// As [`start`].
pub fn start_to_run(path: &Path, env: Env<'_>) -> Result<Start, Problems> {
    let start = start(path, env)?;
    let unusable = start.loaded.unusable();
    if start.refused.is_some() || unusable.is_empty() {
        return Ok(start);
    }
    let source = start.loaded.source().clone();
    let better = kept(path, &source, env, |loaded| loaded.unusable().is_empty());
    Ok(better.map_or(start, |loaded| Start { loaded, refused: Some(Problems::new(source, unusable)) }))
}

/// The last configuration of the file at `path` that worked, if it still can be used.
fn kept(path: &Path, refused: &Source, env: Env<'_>, good: impl Fn(&Loaded) -> bool) -> Option<Loaded> {
    let file = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    places(refused).iter().find_map(|place| {
        let source = read(place, &file)?;
        parse(source, env).and_then(possible).ok().filter(&good)
    })
}

/// A configuration that this version can't carry out is refused like a mistaken one.
fn possible(loaded: Loaded) -> Result<Loaded, Problems> {
    let not_yet = loaded.not_yet();
    if not_yet.is_empty() {
        return Ok(loaded);
    }
    let list = loaded.warnings.list.into_iter().chain(not_yet).collect();
    Err(Problems::new(loaded.warnings.source, list))
}

/// Keeps a configuration that the program has started with. The store's folder has to be there.
///
/// # Errors
/// When it can't be written into the store; the copy beside the file is only tried.
pub fn keep(loaded: &Loaded) -> io::Result<()> {
    let source = loaded.source();
    let file = std::path::absolute(&source.file)?;
    let kept = Kept { format: FORMAT, file, base: source.base.clone(), text: source.text.clone() };
    let bytes = serde_json::to_vec(&kept)?;
    if let Err(error) = write(&beside(&kept.file), &bytes) {
        tracing::debug!(%error, "no copy of the configuration beside its file; the one in the store will do");
    }
    write(&loaded.config.store.path.join(IN_STORE), &bytes)
}

fn beside(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(BESIDE);
    PathBuf::from(name)
}

/// Where a copy may lie, the likeliest place first.
fn places(refused: &Source) -> Vec<PathBuf> {
    let mended = syntax::mend(refused);
    let parsed = syntax::parse(refused, &mended);
    let named = parsed
        .table
        .get("store")
        .and_then(|store| store.get_ref().get("path"))
        .and_then(|path| path.get_ref().as_str())
        .map(|path| refused.base.join(path).join(IN_STORE));
    let default = Form::Configuration.find("store.path").and_then(|key| match key.default {
        Fallback::Is(text) => Some(Path::new(text.trim_matches('"')).join(IN_STORE)),
        Fallback::Required | Fallback::Otherwise(_) => None,
    });
    let file = std::path::absolute(&refused.file).unwrap_or_else(|_| refused.file.clone());
    named.into_iter().chain([beside(&file)]).chain(default).collect()
}

/// The copy at `place`, if it can be read and was made of `file`.
fn read(place: &Path, file: &Path) -> Option<Source> {
    let kept: Kept = serde_json::from_slice(&std::fs::read(place).ok()?).ok()?;
    if kept.format != FORMAT || kept.file != file {
        return None;
    }
    let form = Form::Configuration;
    Some(Source { file: kept.file, base: kept.base, text: kept.text, form })
}

/// Replaces a file in one step that survives a power cut: the old content or the new, never a
/// mixture. Does nothing where the content is there already, to spare the flash.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if std::fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".new");
    let temporary = PathBuf::from(temporary);
    // One that an earlier power cut left behind may have another owner's mode.
    if let Err(error) = std::fs::remove_file(&temporary)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error);
    }
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&temporary, path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::File::open(folder)?.sync_all()
}
