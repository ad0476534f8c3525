//! Both halves of WhatsApp as a command: `wagate simulate whatsapp --graph`.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::broadcast::error::RecvError;

use super::posting::Posting;
use super::server::{Doorway, Ended, Graph};
use super::settings::GraphSettings;
use crate::crm::CannotListen;
use crate::whatsapp::{Line, Report, WhatsappError, WhatsappOptions, run_whatsapp};

/// What came of a run.
#[derive(Debug)]
pub struct GraphReport {
    /// What the customers wrote.
    pub customers: Report,
    /// What the store sent, and its statuses.
    pub graph: Ended,
}

/// Why a run couldn't begin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GraphError {
    /// A port is taken.
    #[error(transparent)]
    Listen(#[from] CannotListen),
    /// The webhooks of the customers can't be sent.
    #[error(transparent)]
    Whatsapp(#[from] WhatsappError),
}

/// Something for the command to print.
#[derive(Debug)]
pub enum GraphLine {
    /// The ports are open.
    Listening {
        /// To be put into the gateway's configuration as `whatsapp.endpoints.url`.
        url: String,
        /// Where `POST /behave` goes.
        control: Option<SocketAddr>,
        /// The doors beside that one.
        doors: Vec<Doorway>,
    },
    /// Of the customers.
    Customers(Line),
    /// The store sent something.
    Posted(Arc<Posting>),
    /// So many messages came too fast to be told.
    Skipped(u64),
}

/// Plays Graph, and the customers beside it, until `run_for` is over or `stop` comes, telling `out`; the
/// customers may have written all that they are to write before that.
///
/// # Errors
/// When a port isn't free, or the customers' webhooks can't be sent at all.
pub async fn run_graph(
    settings: GraphSettings,
    mut customers: WhatsappOptions,
    stop: impl Future<Output = ()>,
    out: impl FnMut(GraphLine),
) -> Result<GraphReport, GraphError> {
    let graph = Graph::start(settings)?;
    let out = Mutex::new(out);
    let say = |line| out.lock().unwrap_or_else(PoisonError::into_inner)(line);
    let doors = graph.doors().split_off(1);
    say(GraphLine::Listening { url: graph.url(), control: graph.control_address(), doors });
    customers.heard_by = Some(graph.ears());
    let run_for = customers.run_for.take();
    let ending = Notify::new();
    let mut writing =
        pin!(run_whatsapp(customers, ending.notified(), |line| say(GraphLine::Customers(line))));
    let mut over = pin!(async {
        tokio::select! {
            () = stop => {}
            () = after(run_for) => {}
        }
    });
    let mut postings = graph.postings();
    let mut written = None;
    loop {
        tokio::select! {
            report = &mut writing, if written.is_none() => written = Some(report?),
            () = &mut over => break,
            posting = postings.recv() => match posting {
                Ok(posting) => say(GraphLine::Posted(posting)),
                Err(RecvError::Lagged(skipped)) => say(GraphLine::Skipped(skipped)),
                // The other end is in `graph`, which is still there.
                Err(RecvError::Closed) => {}
            },
        }
    }
    let customers = match written {
        Some(report) => report,
        None => {
            ending.notify_one();
            writing.await?
        }
    };
    let graph = graph.stop().await;
    while let Ok(posting) = postings.try_recv() {
        say(GraphLine::Posted(posting));
    }
    Ok(GraphReport { customers, graph })
}

async fn after(time: Option<Duration>) {
    match time {
        Some(time) => tokio::time::sleep(time).await,
        None => std::future::pending().await,
    }
}
