//! `wagate update`

mod progress;
mod upload;
mod watch;

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use clap::{Args, Subcommand};
use reqwest::{Method, Url};
use serde_json::{Value, json};

use super::client::{Client, code};
use super::{ApiArgs, Exit};
use crate::out;

/// So long a bundle may take to be sent and read back; the gateway ends it after half an hour itself.
const PATIENCE: Duration = Duration::from_secs(45 * 60);

/// `wagate update`
#[derive(Debug, Args)]
pub struct Update {
    /// The gateway.
    #[command(flatten)]
    pub api: ApiArgs,
    /// Without one: show.
    #[command(subcommand)]
    pub action: Option<UpdateAction>,
}

/// What to do with the firmware.
#[derive(Debug, Subcommand)]
pub enum UpdateAction {
    /// Install a signed update and start it
    ///
    /// A file goes from this machine to the box; an address is fetched by the box itself, over as many
    /// connections as it takes. With --wait exit status 0 says that the new version runs and has proved itself.
    Install {
        /// A file on this machine, or an http(s) address that the box fetches it from
        #[arg(value_name = "FILE|URL")]
        bundle: String,
        /// Leave the box running: the new version is started with its next start
        #[arg(long, conflicts_with = "wait")]
        no_reboot: bool,
        /// Wait until the new version has proved itself, or the old one is back
        #[arg(long)]
        wait: bool,
    },
    /// Go back to the version in the other slot
    RollBack {
        /// Wait until that one runs
        #[arg(long)]
        wait: bool,
    },
    /// End the update that is on its way
    Cancel,
}

pub(super) fn run(update: &Update) -> anyhow::Result<Exit> {
    let client = Client::patient(&update.api, PATIENCE)?;
    Client::block_on(async {
        match &update.action {
            None => {
                let shown = client.get("/v1/update", &[]).await?;
                print(update, &shown, &describe(&shown))?;
                Ok(Exit::Done)
            }
            Some(UpdateAction::Install { bundle, no_reboot, wait }) => {
                let before = client.get("/v1/update", &[]).await?;
                let reboot = !no_reboot;
                let taken = match address(bundle) {
                    Some(url) => watch::fetched(&client, &url, reboot, &before).await?,
                    None => upload::send(&client, Path::new(bundle), reboot).await?,
                };
                if *wait {
                    return follow(update, &client, &before).await;
                }
                let version = taken["version"].as_str().unwrap_or("-");
                let next =
                    if reboot { "the box is starting it now" } else { "the next start of the box starts it" };
                print(update, &taken, &format!("version {version} is in its slot; {next}\n"))?;
                Ok(Exit::Done)
            }
            Some(UpdateAction::RollBack { wait }) => {
                let before = client.get("/v1/update", &[]).await?;
                let answer = client.ask(Method::POST, "/v1/update/roll-back", &[]).await?;
                if *wait {
                    return follow(update, &client, &before).await;
                }
                let version = answer["version"].as_str().unwrap_or("in the other slot");
                print(update, &answer, &format!("the box is going back to version {version}\n"))?;
                Ok(Exit::Done)
            }
            Some(UpdateAction::Cancel) => {
                let answer = client.ask(Method::DELETE, "/v1/update", &[]).await?;
                print(update, &answer, "the update is being ended; what runs stays\n")?;
                Ok(Exit::Done)
            }
        }
    })
}

/// Waits for the end of a start, and says which it is.
async fn follow(update: &Update, client: &Client, before: &Value) -> anyhow::Result<Exit> {
    let outcome = watch::started(client, before).await;
    let words = format!("{}\n", outcome.words());
    print(update, &json!({ "outcome": outcome.label(), "detail": outcome.words() }), &words)?;
    Ok(if outcome.is_new() { Exit::Done } else { Exit::Failed })
}

fn print(update: &Update, value: &Value, words: &str) -> anyhow::Result<()> {
    if update.api.json {
        out::json(value)?;
    } else {
        out::answer(words)?;
    }
    Ok(())
}

/// The address that is meant; `None` for a file.
fn address(bundle: &str) -> Option<Url> {
    let is_one = bundle.starts_with("http://") || bundle.starts_with("https://");
    Url::parse(bundle).ok().filter(|_| is_one)
}

/// A page for people.
fn describe(shown: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let mut page = String::new();
    let mut line = |name: &str, value: String| {
        // Writing to a string can't fail.
        let _ = writeln!(page, "{name:<14}{value}");
    };
    let state = if shown["state"] == "trial" { ", on trial: it still has to prove itself" } else { "" };
    line("version", format!("{} for {}{state}", text(&shown["version"]), text(&shown["board"])));
    for slot in shown["slots"].as_array().into_iter().flatten() {
        let mut words = match slot["version"].as_str() {
            Some(version) => format!("{version}, {}", text(&slot["state"])),
            None if slot["state"] == "unusable" => "empty or given up".to_owned(),
            None => text(&slot["state"]),
        };
        if slot["state"] == "trial" {
            words += &format!(", {} starts left", slot["attempts_left"]);
        }
        for (member, mark) in [("running", "runs"), ("next", "is started next")] {
            if slot[member] == true {
                words += &format!("; {mark}");
            }
        }
        line(&format!("slot {}", text(&slot["name"])), words);
    }
    if let Some(note) = shown["note"].as_str() {
        line("last start", note.to_owned());
    }
    let job = &shown["job"];
    if job.is_object() {
        let version = job["version"].as_str().map_or(String::new(), |version| format!(" of {version}"));
        let detail = job["detail"].as_str().map_or(String::new(), |detail| format!(": {detail}"));
        let (stage, code) = (text(&job["stage"]), code(&job["code"]));
        line("update", format!("{stage}{code}{version}, {}{detail}", progress::amount(job)));
    }
    page
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command};

    fn parse(args: &[&str]) -> Result<UpdateAction, String> {
        let parsed =
            Cli::try_parse_from([&["wagate", "update"], args].concat()).map_err(|error| error.to_string())?;
        let Command::Update(update) = parsed.command else { panic!("another command") };
        update.action.ok_or_else(|| "show".to_owned())
    }

    #[test]
    fn the_command_line_says_what_is_installed_and_whether_to_wait() {
        assert_eq!(parse(&[]).unwrap_err(), "show");
        let action = parse(&["install", "a.update", "--wait"]).unwrap();
        assert!(matches!(action, UpdateAction::Install { wait: true, no_reboot: false, .. }));
        assert!(parse(&["install"]).is_err() && parse(&["install", "a", "--wait", "--no-reboot"]).is_err());
        assert!(matches!(parse(&["roll-back"]).unwrap(), UpdateAction::RollBack { wait: false }));
        for (bundle, is_address) in [
            ("https://u.example/a.update", true),
            ("http://u/a", true),
            ("a.update", false),
            ("C:/a", false),
            ("http:", false),
        ] {
            assert_eq!(address(bundle).is_some(), is_address, "{bundle}");
        }
    }

    #[test]
    fn both_slots_and_the_update_are_shown() {
        let shown = json!({ "version": "0.1.0", "board": "generic-arm64", "slot": "a", "state": "committed",
            "slots": [
                { "name": "a", "state": "committed", "attempts_left": 3, "version": "0.1.0", "running": true, "next": false },
                { "name": "b", "state": "trial", "attempts_left": 3, "version": "0.2.0", "running": false, "next": true }],
            "note": "the version in slot b was given up", "uptime_ms": 1,
            "job": { "stage": "waiting", "version": "0.2.0", "received": 20_971_520, "total": 41_943_040,
                "detail": "no connection" } });
        let expected = "\
version       0.1.0 for generic-arm64
slot a        0.1.0, committed; runs
slot b        0.2.0, trial, 3 starts left; is started next
last start    the version in slot b was given up
update        waiting of 0.2.0, 20.0 of 40.0 MiB: no connection
";
        assert_eq!(describe(&shown), expected);
        let mut failed = shown;
        failed["job"] = json!({ "stage": "failed", "version": null, "received": 1_048_576, "total": 1_048_576,
            "code": "wrong-board", "detail": "it is for another board" });
        let page = describe(&failed);
        assert!(
            page.contains("update        failed (wrong-board), 1.0 of 1.0 MiB: it is for another board"),
            "{page}"
        );
    }
}
