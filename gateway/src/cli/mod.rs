//! The command line: reads it, runs one command, and turns the outcome into an exit status.

mod args;
mod audit;
mod check;
mod client;
mod confined;
mod dead_letters;
mod demo;
mod doctor;
mod failover;
mod machine;
mod records;
mod run;
mod sending;
mod simulate;
mod status;
mod stop;
mod target;
mod trust;
mod update;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser};

pub use args::{
    ApiArgs, Check, Cli, Command, ConfigArgs, DeadLetters, DeadLettersAction, Demo, Doctor, Rate, Records,
    Simulate, SimulateCrm, SimulateGraph, SimulateWhatsapp, Status,
};
pub use audit::AuditLog;
pub use failover::{Failover, FailoverAction};
pub use machine::Machine;
pub use sending::{Queue, QueueAction, Quota, SendMessage};
pub use stop::Stops;
pub use target::Target;
pub use update::{Update, UpdateAction};

use crate::out;

/// How a command ended that said everything there was to say itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done,
    /// It failed.
    Failed,
    /// The command line or the configuration is wrong.
    Refused,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Done => Self::SUCCESS,
            Exit::Failed => Self::from(1),
            Exit::Refused => Self::from(2),
        }
    }
}

/// What can be written on the command line, with all that `--help` says of it: what manual pages and completions are
/// made of.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}

/// The whole program.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are answers; everything else is a mistake in the command line.
            let exit = if error.use_stderr() { Exit::Refused } else { Exit::Done };
            return match error.print() {
                Err(error) if !out::is_closed(&error) => Exit::Failed.into(),
                _ => exit.into(),
            };
        }
    };
    match dispatch(&cli.command) {
        Ok(exit) => exit.into(),
        Err(error) if is_closed_pipe(&error) => Exit::Done.into(),
        Err(error) => {
            out::talk(&format!("wagate: {error:#}"));
            let refused = error.chain().any(<dyn std::error::Error>::is::<crate::config::Problems>);
            if refused { Exit::Refused.into() } else { Exit::Failed.into() }
        }
    }
}

/// Each command has its own file.
fn dispatch(command: &Command) -> anyhow::Result<Exit> {
    match command {
        Command::Check(args) => check::run(args),
        Command::Run(args) => run::run(args),
        Command::Demo(args) => demo::run(args),
        Command::Doctor(args) => doctor::run(args),
        Command::Simulate(Simulate::Whatsapp(args)) => simulate::whatsapp(args),
        Command::Simulate(Simulate::Crm(args)) => simulate::crm(args),
        Command::Status(args) => status::run(args),
        Command::Records(args) => records::run(args),
        Command::Deadletters(args) => dead_letters::run(args),
        Command::Send(args) => sending::send(args),
        Command::Queue(args) => sending::queue(args),
        Command::Quota(args) => sending::quota(args),
        Command::Failover(args) => failover::run(args),
        Command::Update(args) => update::run(args),
        Command::Audit(args) => audit::run(args),
        Command::Machine(command) => machine::run(command),
    }
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.chain().filter_map(|cause| cause.downcast_ref::<std::io::Error>()).any(out::is_closed)
}
