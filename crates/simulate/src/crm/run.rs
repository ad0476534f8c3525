//! The stand-in as a command: `wagate simulate crm`.

use std::future::Future;
use std::net::SocketAddr;

use tokio::sync::broadcast::error::RecvError;

use super::door::CannotListen;
use super::observed::Totals;
use super::server::{Crm, CrmOptions};
use crate::Event;

/// Something for the command to print.
#[derive(Debug)]
pub enum Line {
    /// The ports are open.
    Listening {
        /// To be put into the gateway's configuration as `crm.endpoints.url`; its root is the page.
        url: String,
        /// Where `POST /behave` goes.
        control: Option<SocketAddr>,
    },
    /// A record arrived, or something was wrong.
    Event(Event),
    /// So many events were too fast to be told.
    Skipped(u64),
}

/// What the CRM saw until it was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CrmReport {
    /// The sums.
    pub totals: Totals,
    /// Whether nothing was ever wrong.
    pub clean: bool,
}

/// Plays the CRM until `stop` comes, telling `out`.
///
/// # Errors
/// When a port isn't free.
pub async fn run_crm(
    options: CrmOptions,
    stop: impl Future<Output = ()>,
    mut out: impl FnMut(Line),
) -> Result<CrmReport, CannotListen> {
    let crm = Crm::start(options)?;
    let mut events = crm.events().subscribe();
    out(Line::Listening { url: crm.url(), control: crm.control_address() });
    tokio::pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => break,
            event = events.recv() => match event {
                Ok(event) => out(Line::Event(event)),
                Err(RecvError::Lagged(skipped)) => out(Line::Skipped(skipped)),
                Err(RecvError::Closed) => break,
            },
        }
    }
    Ok(crm.look(|observed| CrmReport { totals: observed.totals(), clean: observed.is_clean() }))
}
