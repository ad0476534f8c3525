//! `wagate demo`: what a newcomer sees first.

use super::args::Demo;
use super::{Exit, Stops};
use crate::config::{Log, LogFormat, LogLevel};
use crate::{demo, out, telemetry};

/// Runs the demo; [`Exit::Done`] only if everything sent was received.
pub(super) fn run(args: &Demo) -> anyhow::Result<Exit> {
    // Log lines would break the picture: who wants them gets plain lines around them.
    let logs = std::env::var_os(telemetry::LEVEL_VARIABLE).is_some_and(|directives| !directives.is_empty());
    if logs {
        telemetry::install(Log { format: LogFormat::Human, level: LogLevel::Info });
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let done = runtime.block_on(async {
        let mut stops = Stops::listen()?;
        demo::run(args.for_, out::colour() && !logs, &mut stops).await
    })?;
    Ok(if done { Exit::Done } else { Exit::Failed })
}
