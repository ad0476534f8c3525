//! Writes the manual pages and the completions of shells into a folder, from what the program itself knows:
//!
//!     cargo run -p wagate --example manual -- FOLDER
//!
//! `man1/` has a page for each command, `man5/wagate.toml.5` every key of the configuration, `completions/` a file
//! for each shell. An example, so that none of it is in the program that is shipped.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Inline, Roff, bold, italic, roman};
use wagate::config::keys::{CARD_KEYS, Fallback, KEYS, Key};

/// The name over each page.
const MANUAL: &str = "wagate";
/// Where what is told in more words lies, once installed.
const SEE_ALSO: &str = "wagate(1), wagate.toml(5), https://github.com/wagate/wagate";

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(folder), None) = (arguments.next(), arguments.next()) else {
        anyhow::bail!("usage: manual FOLDER");
    };
    write_all(Path::new(&folder)).with_context(|| format!("{}", folder.display()))
}

fn write_all(folder: &Path) -> anyhow::Result<()> {
    let [man1, man5, completions] = ["man1", "man5", "completions"].map(|name| folder.join(name));
    for each in [&man1, &man5, &completions] {
        fs::create_dir_all(each)?;
    }
    let mut command = visible(&wagate::cli::command());
    command.build();
    pages(&command, &man1)?;
    fs::write(man5.join("wagate.toml.5"), configuration())?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        complete(shell, &completions)?;
    }
    Ok(())
}

/// The command line without what is hidden from people: completions don't look whether a command is.
fn visible(command: &Command) -> Command {
    let shown = command.get_subcommands().filter(|each| !each.is_hide_set()).cloned();
    let about = command.get_about().cloned().unwrap_or_default();
    let after = command.get_after_help().cloned().unwrap_or_default();
    Command::new("wagate")
        .version(env!("CARGO_PKG_VERSION"))
        .about(about)
        .after_help(after)
        .propagate_version(true)
        .disable_help_subcommand(true)
        .subcommand_required(true)
        .subcommands(shown)
}

/// As the shells' own folders want them to be called: `wagate`, `_wagate`, `wagate.fish`.
fn complete(shell: Shell, folder: &Path) -> anyhow::Result<PathBuf> {
    let name: OsString = if shell == Shell::Bash {
        "wagate".into()
    } else {
        clap_complete::Generator::file_name(&shell, "wagate").into()
    };
    let (file, mut text) = (folder.join(name), Vec::new());
    clap_complete::generate(shell, &mut visible(&wagate::cli::command()), "wagate", &mut text);
    fs::write(&file, text)?;
    Ok(file)
}

/// A page for `command` and for each of those below it.
fn pages(command: &Command, folder: &Path) -> anyhow::Result<()> {
    for each in command.get_subcommands() {
        pages(each, folder)?;
    }
    let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
    let man = Man::new(command.clone().version(env!("CARGO_PKG_VERSION"))).title(name.to_uppercase());
    let man = man.source(format!("wagate {}", env!("CARGO_PKG_VERSION"))).manual(MANUAL);
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    page.extend(behind(&after).to_roff().into_bytes());
    fs::write(folder.join(format!("{name}.1")), page)?;
    Ok(())
}

/// What stands behind the options in `--help`: blocks that begin with their heading and a colon.
fn behind(after: &str) -> Roff {
    let mut roff = Roff::new();
    for block in after.split("\n\n").filter(|block| !block.trim().is_empty()) {
        let (heading, text) = block.split_once(':').unwrap_or(("Notes", block));
        roff.control("SH", [heading.to_uppercase().as_str()]);
        if text.starts_with('\n') {
            roff.control("nf", []);
            for line in text.trim_matches('\n').lines() {
                roff.text([roman(line.trim_start())]);
            }
            roff.control("fi", []);
        } else {
            roff.text([roman(text.trim())]);
        }
    }
    roff.control("SH", ["SEE ALSO"]);
    roff.text([roman(SEE_ALSO)]);
    roff
}

/// wagate.toml(5)
fn configuration() -> String {
    let mut roff = Roff::new();
    let source = format!("wagate {}", env!("CARGO_PKG_VERSION"));
    roff.control("TH", ["WAGATE.TOML", "5", "", source.as_str(), MANUAL]);
    roff.control("SH", ["NAME"]);
    roff.text([roman("wagate.toml - configuration of wagate")]);
    roff.control("SH", ["DESCRIPTION"]);
    for paragraph in [
        "A file in TOML, `/etc/wagate/wagate.toml` unless `--config` names another. `wagate check` finds every \
         mistake in it at once and touches nothing; a key that isn't named here is one. A complete file with \
         comments is `/usr/share/doc/wagate/examples/wagate.toml`.",
        "A path names tables by dots: `store.path` is the key `path` of the table `[store]`. Behind `[]` stand the \
         keys of each entry of an array of tables: `numbers[].phone` is the key `phone` of a `[[numbers]]`.",
        "Sizes and times are written with units: `4GiB`, `180d`, `1500ms`. A relative path is looked for beside the \
         file. A secret says where it is: `file:NAME`, a file with nothing else in it; `env:NAME`, a variable of the \
         environment; `credential:NAME`, a systemd credential, which a command typed by hand looks for in \
         `/etc/credstore`.",
    ] {
        roff.text(inline(paragraph));
        roff.control("PP", []);
    }
    roff.control("SH", ["KEYS"]);
    KEYS.iter().for_each(|key| entry(&mut roff, key));
    roff.control("SH", ["KEYS OF A RATE CARD"]);
    roff.text(inline("Of the file that `costs.rate_card` names."));
    // A card of `[[cards]]` has the keys of a card alone.
    CARD_KEYS.iter().filter(|key| !key.path.starts_with("cards[].")).for_each(|key| entry(&mut roff, key));
    roff.control("SH", ["FILES"]);
    for (file, what) in [
        ("/etc/wagate/wagate.toml", "the configuration; without it the service isn't started"),
        ("/etc/credstore/wagate.*", "its secrets, each in a file of its own, for root alone"),
        ("/var/lib/wagate", "the store: every message"),
    ] {
        roff.control("TP", []);
        roff.text([bold(file)]);
        roff.text([roman(what)]);
    }
    roff.control("SH", ["SEE ALSO"]);
    roff.text([roman(SEE_ALSO)]);
    roff.to_roff()
}

fn entry(roff: &mut Roff, key: &Key) {
    roff.control("TP", []);
    let mut head = vec![bold(key.path), roman(" (")];
    head.extend(inline(&key.kind.words()));
    head.push(roman(")"));
    roff.text(head);
    let default = match key.default {
        Fallback::Required => "Required.".to_owned(),
        Fallback::Is(value) => format!("Default: `{value}`."),
        Fallback::Otherwise(words) => format!("Without it: {words}."),
    };
    let mut meaning: Vec<char> = key.meaning.chars().collect();
    if let Some(first) = meaning.first_mut() {
        *first = first.to_ascii_uppercase();
    }
    roff.text(inline(&format!("{}. {default}", meaning.iter().collect::<String>())));
}

/// One line of the Markdown of the reference: `code` and **strong**.
fn inline(markdown: &str) -> Vec<Inline> {
    let code = |(place, part): (usize, &str)| {
        if place % 2 == 1 { italic(part) } else { roman(part.replace("**", "")) }
    };
    markdown.split('`').enumerate().map(code).collect()
}
