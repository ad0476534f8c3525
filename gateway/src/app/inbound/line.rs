//! Calls of Graph about one number, each with its unit.

use std::time::Duration;

use egress::{Callbacks, Called, Graph};
use futures_util::future::BoxFuture;
use model::Outcome;
use outbox::{Other, Why};

use crate::app::sending::{Sending, SendingError};

/// A place among the calls in flight is waited for so long: over a black hole all of them are taken until their calls
/// are given up.
const PLACE_WAIT: Duration = Duration::from_secs(10);
const PLACE_LOOK: Duration = Duration::from_millis(250);

/// The ways to ask Meta about a number.
pub(super) struct Line<'a> {
    pub(super) sending: &'a Sending,
    pub(super) number: &'a str,
    /// In order of preference; one that gives no answer makes way for the next.
    pub(super) graphs: Vec<Graph>,
    /// What its calls count as.
    pub(super) call: Other,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Failed {
    /// No call may be made.
    Unit(Why),
    /// The outbox can't be asked.
    Outbox(SendingError),
    /// What came of the call.
    Call(Outcome),
}

impl Failed {
    /// Whether Meta has said no, so that nothing has changed.
    pub(super) const fn is_refused(&self) -> bool {
        match self {
            Self::Unit(_) | Self::Outbox(_) | Self::Call(Outcome::NotSent { .. }) => true,
            Self::Call(Outcome::Refused(refusal)) => matches!(refusal.http, Some(400..=499)),
            Self::Call(Outcome::Unknown { .. } | Outcome::Accepted { .. }) => false,
        }
    }

    const fn is_unsent(&self) -> bool {
        matches!(self, Self::Call(Outcome::NotSent { .. }))
    }
}

type Call<T> = BoxFuture<'static, Called<Result<T, Outcome>>>;

impl Line<'_> {
    /// Asks where webhooks go.
    pub(super) async fn read(&self) -> Result<Callbacks, Failed> {
        let number = self.number;
        self.over(|graph| {
            let number = number.to_owned();
            Box::pin(async move { graph.webhook_configuration(&number).await })
        })
        .await
    }

    /// Sets where they go: a URL and its verify token, or takes away what was set.
    pub(super) async fn set(&self, callback: Option<(&str, &str)>) -> Result<(), Failed> {
        let callback = callback.map(|(url, token)| (url.to_owned(), token.to_owned()));
        self.over(|graph| {
            let (number, callback) = (self.number.to_owned(), callback.clone());
            Box::pin(async move {
                let callback = callback.as_ref().map(|(url, token)| (url.as_str(), token.as_str()));
                graph.set_callback(&number, callback).await
            })
        })
        .await
    }

    /// Makes a call that may be repeated, at one endpoint after another until one has answered.
    async fn over<T>(&self, call: impl Fn(Graph) -> Call<T>) -> Result<T, Failed> {
        let mut last = Failed::Unit(Why::NoRoute);
        for graph in &self.graphs {
            let failed = match self.once(graph.clone(), &call).await {
                Ok(found) => return Ok(found),
                Err(failed) => failed,
            };
            // What may have been done isn't undone by a later no.
            let is_answered = failed.is_refused() && !failed.is_unsent();
            if last.is_refused() {
                last = failed;
            }
            if is_answered {
                break;
            }
        }
        Err(last)
    }

    async fn once<T>(&self, graph: Graph, call: &impl Fn(Graph) -> Call<T>) -> Result<T, Failed> {
        self.unit().await?;
        let outcome = call(graph).await.outcome;
        let unsent = matches!(outcome, Err(Outcome::NotSent { .. }));
        self.sending.end_call(self.number.to_owned(), self.call, unsent).await;
        outcome.map_err(Failed::Call)
    }

    async fn unit(&self) -> Result<(), Failed> {
        let end = tokio::time::Instant::now() + PLACE_WAIT;
        loop {
            let (number, call) = (self.number.to_owned(), self.call);
            let taken = self.sending.ask(move |turn| turn.take_call(&number, call)).await;
            match taken.map_err(Failed::Outbox)? {
                Ok(()) => return Ok(()),
                Err((Why::Throttled, _)) if tokio::time::Instant::now() < end => {
                    tokio::time::sleep(PLACE_LOOK).await;
                }
                Err((why, _)) => return Err(Failed::Unit(why)),
            }
        }
    }
}
