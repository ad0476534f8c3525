//! `wagate doctor`: the world around the box, a line each.
//!
//! Each check has a file: a thin shell that asks, and a pure function that judges what came. They run
//! side by side, each with its time, and are shown in the order of [`Check::ALL`]. Nothing is changed by
//! them; only the CRM gets a test event, which says that it is one. No line holds a secret: what
//! strangers answer is told in our own words, or made harmless first.

mod board;
mod certificate;
mod clock;
mod crm;
mod disk;
mod dns;
mod finding;
mod flash;
#[cfg(test)]
mod golden;
mod graph;
mod others;
mod reach;
mod report;
mod running;
mod storage;
mod subscription;
mod token;
mod unheard;
mod words;
mod world;

use std::path::PathBuf;
use std::sync::Arc;

use finding::{Check, Finding};
use world::{CHECK_WITHIN, World};

use super::Exit;
use super::args::Doctor;
use crate::{config, out};

pub(super) fn run(args: &Doctor) -> anyhow::Result<Exit> {
    let loaded = match config::load(&args.config.config, &config::system_env) {
        Ok(loaded) => loaded,
        Err(problems) => {
            out::talk(&problems.render(out::talk_colour()));
            return Ok(Exit::Refused);
        }
    };
    let world = Arc::new(World::new(loaded.config, PathBuf::from("/"))?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let findings = runtime.block_on(examine(world, !args.json));
    // A look-up of the C library can't be ended, and nobody waits for it any more.
    runtime.shutdown_background();
    let findings = findings?;
    if args.json {
        out::json(&report::json(&findings))?;
    } else {
        out::answer(&report::summary(&findings))?;
    }
    Ok(if report::is_ok(&findings) { Exit::Done } else { Exit::Failed })
}

/// Runs all checks at once; where `tell`, shows each as soon as it and those before it are done.
async fn examine(world: Arc<World>, tell: bool) -> anyhow::Result<Vec<Finding>> {
    let (colour, width) = (out::colour(), report::width());
    let tasks = Check::ALL.map(|check| (check, tokio::spawn(within(check, Arc::clone(&world)))));
    let mut all = Vec::new();
    for (check, task) in tasks {
        let findings = task.await?;
        debug_assert!(!findings.is_empty(), "{} says nothing", check.name());
        if tell {
            for finding in &findings {
                out::answer(&report::lines(finding, colour, width))?;
            }
        }
        all.extend(findings);
    }
    Ok(all)
}

async fn within(check: Check, world: Arc<World>) -> Vec<Finding> {
    let late = || {
        let summary = format!("not done within {} s", CHECK_WITHIN.as_secs());
        vec![Finding::warn(check, summary).next("run `wagate doctor` again; it may be a slow network")]
    };
    tokio::time::timeout(CHECK_WITHIN, one(check, &world)).await.unwrap_or_else(|_| late())
}

async fn one(check: Check, world: &World) -> Vec<Finding> {
    match check {
        Check::Gateway => vec![running::check(world).await],
        Check::Certificate => certificate::check(world).await,
        Check::Clock => vec![clock::check(world).await],
        Check::Dns => dns::check(world).await,
        Check::Reach => reach::check(world).await,
        Check::Token => token::check(world).await,
        Check::Subscription => subscription::check(world).await,
        Check::Storage => storage::check(world).await,
        Check::Crm => crm::check(world).await,
        Check::Disk => vec![disk::check(world).await],
        Check::Flash => vec![flash::check(world).await],
        Check::Board => board::check(world).await,
    }
}
