//! What the box writes on a medium for whoever looks at it on another computer.

use std::path::Path;

use super::disk::Disk;
use super::medium::Medium;

/// What was taken.
pub const ACCEPTED: &str = "wagate-accepted.txt";
/// Why nothing was taken.
pub const ERRORS: &str = "wagate-errors.txt";
/// How to reach the setup page.
pub const SETUP: &str = "wagate-setup.txt";

/// Leaves `text` on the medium under `name`, and nothing under each name of `stale`. What is as it should be isn't
/// written again, to spare the flash.
///
/// # Errors
/// When the medium can't be written, in words for people.
pub(super) fn leave(
    disk: &dyn Disk,
    medium: &mut dyn Medium,
    name: &str,
    text: &str,
    stale: &[&str],
) -> Result<(), String> {
    // Notepad of older Windows shows one long line otherwise.
    let text = text.replace('\n', "\r\n");
    let same = std::fs::read(medium.folder().join(name)).is_ok_and(|old| old == text.as_bytes());
    if !same {
        medium.writable()?;
        disk.note(&medium.folder().join(name), text.as_bytes()).map_err(|error| error.to_string())?;
    }
    remove(disk, medium, stale)
}

/// Leaves nothing under any of `names`.
///
/// # Errors
/// When the medium can't be written, in words for people.
pub(super) fn remove(disk: &dyn Disk, medium: &mut dyn Medium, names: &[&str]) -> Result<(), String> {
    let folder = medium.folder().to_owned();
    let there = |name: &&&str| folder.join(name).symlink_metadata().is_ok();
    for name in names.iter().filter(there) {
        medium.writable()?;
        disk.remove(&folder.join(name)).map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// The words of [`ACCEPTED`]: `check` is what the check of the configuration says, `names` the files it came in,
/// `in_force` the number of the one that the box goes by.
pub(super) fn accepted<'n>(
    number: u64,
    in_force: u64,
    names: impl Iterator<Item = &'n str>,
    check: &str,
) -> String {
    let names: Vec<&str> = names.collect();
    let since = if number == in_force {
        String::new()
    } else {
        format!("The box goes by number {in_force}, which came later; this one is not in force.\n")
    };
    format!(
        "The box has taken this configuration, its number {number}, and keeps it on its own disk.\n{since}\
         These files were erased here: {}.\n\
         To change something, put a whole new configuration here, with all the files that it names.\n\
         \n\
         What the check said:\n\n{check}",
        names.join(", ")
    )
}

/// The words of [`ERRORS`].
pub(super) fn errors(folder: &Path, words: &str, in_force: bool) -> String {
    let next = if in_force {
        "The box goes on with the configuration that it has."
    } else {
        "The box has no configuration and waits for one, here or on its setup page."
    };
    let mut text = format!(
        "The box has not taken this configuration: something in it is wrong.\n{next}\n\
         Mend what is said below, put the card or stick back, and switch the box off and on.\n\n{words}"
    );
    for hint in hints(folder, words) {
        text.push_str(&hint);
    }
    text
}

/// What a person may have overlooked: a file of nearly the name that is missing.
fn hints(folder: &Path, words: &str) -> Vec<String> {
    let names = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let names = names.filter_map(|entry| entry.file_name().into_string().ok());
    let stem = |name: &str| name.split('.').next().unwrap_or_default().to_ascii_lowercase();
    let missing: Vec<&str> = words
        .lines()
        .filter_map(|line| line.split_once("can't read ")?.1.strip_suffix(": No such file or directory"))
        .collect();
    let mut hints: Vec<String> = names
        .flat_map(|name| {
            let like: Vec<String> = missing
                .iter()
                .filter(|missing| !missing.eq_ignore_ascii_case(&name) && stem(missing) == stem(&name))
                .map(|missing| {
                    format!("\nThere is a file \"{name}\" here. If it is \"{missing}\", rename it.\n")
                })
                .collect();
            like
        })
        .collect();
    hints.sort();
    hints
}
