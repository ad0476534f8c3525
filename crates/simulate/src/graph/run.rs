//! Both halves of WhatsApp as a command: `wagate simulate whatsapp --graph`.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::server::{Ended, Graph, GraphSettings};
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

/// Plays Graph, and the customers beside it, until `run_for` is over or `stop` comes; the customers may
/// have written all that they are to write before that. `open` is told once the ports are open.
///
/// # Errors
/// When a port isn't free, or the customers' webhooks can't be sent at all.
pub async fn run_graph(
    settings: GraphSettings,
    mut customers: WhatsappOptions,
    stop: impl Future<Output = ()>,
    open: impl FnOnce(&Graph),
    out: impl FnMut(Line),
) -> Result<GraphReport, GraphError> {
    let graph = Graph::start(settings)?;
    open(&graph);
    customers.heard_by = Some(graph.ears());
    let run_for = customers.run_for.take();
    let ending = Arc::new(Notify::new());
    let mut writing = pin!(run_whatsapp(customers, ending.notified(), out));
    let mut over = pin!(async {
        tokio::select! {
            () = stop => {}
            () = after(run_for) => {}
        }
    });
    let customers = tokio::select! {
        report = &mut writing => {
            let report = report?;
            over.await;
            report
        }
        () = &mut over => {
            ending.notify_one();
            writing.await?
        }
    };
    Ok(GraphReport { customers, graph: graph.stop().await })
}

async fn after(time: Option<Duration>) {
    match time {
        Some(time) => tokio::time::sleep(time).await,
        None => std::future::pending().await,
    }
}
