//! Watching the peer, and taking over from it where this was wished.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::WallTime;
use policy::Moment;
use policy::standby::{Settings, Standby};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::peer::Peer;
use super::{By, Deed, Inbound, Refused};
use crate::{clock, config};

/// A peer and what is known of it.
pub(super) struct Watch {
    pub(super) peer: Peer,
    settings: Settings,
    /// Where [`Moment`]s count from.
    began: Instant,
    held: Mutex<Held>,
}

struct Held {
    standby: Standby,
    /// Since when the peer has been silent, by the box's clock when that was noticed: a clock that is set
    /// meanwhile doesn't make another silence of it.
    silent: Option<(Moment, WallTime)>,
    /// Why the last try to take over didn't succeed.
    last_error: Option<String>,
}

impl Watch {
    /// `known`: this peer was heard before; `holds`: this box holds webhooks from before.
    pub(super) fn new(standby: &config::Standby, known: bool, holds: bool) -> anyhow::Result<Self> {
        let config::Standby { every, silent_for, take, .. } = *standby;
        let settings = Settings { every, silent_for, take };
        let standby_now = Standby::new(settings, known, holds, Moment::START);
        Ok(Self {
            peer: Peer::new(standby)?,
            settings,
            began: Instant::now(),
            held: Mutex::new(Held { standby: standby_now, silent: None, last_error: None }),
        })
    }

    /// Takes in whether the peer has answered; says whether to take over now, and whether it was heard for the first
    /// time ever.
    fn probed(&self, answered: bool) -> (bool, bool) {
        let now = self.now();
        let mut held = self.lock();
        let first = answered && !held.standby.is_known();
        held.standby.probed(answered, now);
        match (held.silent, held.standby.silent_since(now)) {
            (None, Some(since)) => {
                let ms = i64::try_from(now.since(since).as_millis()).unwrap_or(i64::MAX);
                held.silent = Some((since, WallTime(clock::now().0.saturating_sub(ms))));
                tracing::warn!("the peer box is silent");
            }
            (Some(_), None) => {
                (held.silent, held.last_error) = (None, None);
                tracing::info!("the peer box is heard again");
            }
            (None, None) | (Some(_), Some(_)) => {}
        }
        (held.standby.is_due(now), first)
    }

    /// This box holds webhooks, or none any more.
    pub(super) fn holds(&self, any: bool, everything: bool) {
        let mut held = self.lock();
        held.standby.holds(any, everything);
        if everything {
            held.last_error = None;
        }
    }

    fn failed(&self, error: String) {
        self.lock().last_error = Some(error);
    }

    /// What a person should see to; without URLs, for it is logged.
    pub(super) fn alarm(&self) -> Option<String> {
        let held = self.lock();
        let (_, since) = held.silent?;
        let since = since.rfc3339_seconds();
        Some(if !held.standby.is_known() {
            format!(
                "the peer box hasn't been heard since the start at {since}, nor ever before: see to `standby.peer`, or \
                 `wagate failover take`"
            )
        } else if self.settings.take && held.last_error.is_some() {
            format!(
                "the peer box is silent since {since}, and its webhooks can't be taken over: see `wagate failover status`; it \
                 is tried again"
            )
        } else {
            format!("the peer box is silent since {since}: `wagate failover take` takes its webhooks over")
        })
    }

    /// For `GET /v1/failover`.
    pub(super) fn view(&self) -> Value {
        let now = self.now();
        let held = self.lock();
        json!({
            "peer": self.peer.url().as_str(),
            "state": held.standby.state(now).word(),
            "silent_since": held.silent.map(|(_, since)| since.rfc3339_millis()),
            "heard_before": held.standby.is_known(),
            "take": self.settings.take,
            "last_error": held.last_error,
        })
    }

    /// How long the peer has given no sign of life; zero while it answers.
    pub(super) fn silent_for(&self) -> Duration {
        let held = self.lock();
        if held.standby.misses() == 0 { Duration::ZERO } else { self.now().since(held.standby.heard_at()) }
    }

    fn ask_every(&self) -> Duration {
        self.lock().standby.ask_every()
    }

    fn now(&self) -> Moment {
        Moment::after_start(self.began.elapsed())
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Watches the peer until `stop`, where there is one.
pub(crate) async fn watch(inbound: Inbound, stop: impl Future<Output = ()>) {
    let Some(watch) = &inbound.0.watch else { return };
    let mut stop = std::pin::pin!(stop);
    loop {
        let asked = Instant::now();
        tokio::select! {
            () = &mut stop => return,
            answered = watch.peer.answers() => {
                let (due, first) = answered.map_or((false, false), |answered| watch.probed(answered));
                if first && let Err(error) = inbound.0.shelf.known(watch.peer.url()).await {
                    tracing::warn!(%error, "that the peer was heard couldn't be noted; after a restart it has to be heard again");
                }
                if due {
                    // It goes to its end whatever happens here: a call that was taken has to be given up.
                    let taking = tokio::spawn(take(inbound.clone()));
                    tokio::select! {
                        () = &mut stop => return,
                        ended = taking => if let Err(error) = ended {
                            tracing::error!(%error, "taking over has panicked");
                        },
                    }
                }
            }
        }
        tokio::select! {
            () = &mut stop => return,
            () = tokio::time::sleep_until(asked + watch.ask_every()) => {}
        }
    }
}

/// Takes over everything that can be.
async fn take(inbound: Inbound) {
    let Some(watch) = &inbound.0.watch else { return };
    tracing::warn!("the peer box is silent: taking over its webhooks");
    let error = match inbound.take_by(&[], By::Standby(&watch.peer)).await {
        Ok(deeds) => deeds
            .into_iter()
            .find(|deed| !deed.what.is_done())
            .map(|Deed { number, detail, .. }| format!("{number}: {detail}")),
        Err(Refused::Busy) => return,
        Err(refused) => Some(refused.to_string()),
    };
    if let Some(error) = error {
        tracing::error!(
            "the webhooks couldn't be taken over: see `wagate failover status`; it is tried again"
        );
        watch.failed(error);
    }
}
