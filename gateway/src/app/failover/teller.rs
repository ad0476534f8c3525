//! Tells everybody what has changed in a group.

use std::sync::Arc;

use egress::Change;
use model::Account;
use outbox::Clear;
use policy::failover::State;
use records::made::{EndpointChanged, endpoint_changed_item};
use tokio::sync::watch;

use super::Around;
use super::groups::Group;
use super::keeper::Keeper;
use super::kept;
use super::metrics::Metrics;
use crate::app::events::{EndpointEvent, Events};
use crate::app::sending::{Routes, Sending};
use crate::clock;

/// Whoever is told of one group.
pub(super) struct Teller {
    group: Group,
    account: Option<Account>,
    keeper: Keeper,
    events: Events,
    metrics: Metrics,
    sending: Sending,
    routes: watch::Receiver<Arc<Routes>>,
}

impl Teller {
    pub(super) fn new(group: &Group, around: &Around<'_>, keeper: Keeper, metrics: Metrics) -> Self {
        let number = around.config.numbers.iter();
        let number = number.into_iter().find(|number| Some(&number.phone_number_id) == group.number.as_ref());
        let account = number.map(|number| Account {
            waba_id: None,
            phone_number_id: Some(number.phone_number_id.clone()),
            phone: number.phone.clone(),
        });
        Self {
            group: group.clone(),
            account,
            keeper,
            events: around.events.clone(),
            metrics,
            sending: around.sending.clone(),
            routes: around.routes.clone(),
        }
    }

    pub(super) fn tell(&self, changes: &[Change]) {
        for change in changes {
            match change {
                Change::Switched { from, to, reason } => self.switched(from, to, reason),
                Change::Stands { endpoint, before, now } => self.stands(endpoint, *before, *now),
            }
        }
    }

    fn switched(&self, from: &str, to: &str, reason: &str) {
        let watched = &self.group.watched;
        let (group, at) = (watched.name(), clock::now());
        tracing::warn!(group, from, to, reason, "another endpoint is used");
        self.metrics.switched(group);
        let account = self.account.as_ref();
        let changed = EndpointChanged { account, group, from: Some(from), to, reason, at };
        let kept = kept::change(group, watched.endpoints(), &watched.kept());
        self.keeper.keep(kept, endpoint_changed_item(&changed));
        self.say(to, None, Some(from), reason);
        self.reset(from);
        if let Some(number) = &self.group.number {
            self.way_is_clear(number, Clear::Another);
        }
    }

    /// Lets go of what is kept of an endpoint: connections that hang, and addresses that lead nowhere, are no good for
    /// the way back. Delivery does so by itself for those of the CRM.
    fn reset(&self, endpoint: &str) {
        let place = self.group.watched.endpoints().iter().position(|name| name == endpoint);
        if let (Some(number), Some(place)) = (&self.group.number, place)
            && let Some(graph) = self.routes.borrow().at(number, place)
        {
            graph.reset();
        }
    }

    fn stands(&self, endpoint: &str, before: State, now: State) {
        let watched = &self.group.watched;
        let group = watched.name();
        let in_use = |state: State| matches!(state, State::Closed | State::Suspect);
        let mut clear = None;
        match (in_use(before), in_use(now)) {
            (true, false) => {
                tracing::warn!(group, endpoint, "an endpoint is out of use");
                self.reset(endpoint);
            }
            (false, true) => {
                tracing::info!(group, endpoint, "an endpoint works again");
                clear = Some(Clear::Again);
            }
            _ => {
                tracing::debug!(group, endpoint, before = before.as_str(), now = now.as_str(), "an endpoint");
                clear = (now == State::HalfOpen).then_some(Clear::Again);
            }
        }
        let active = watched.endpoints().get(watched.active()).is_some_and(|active| active == endpoint);
        if let (Some(clear), Some(number), true) = (clear, &self.group.number, active) {
            self.way_is_clear(number, clear);
        }
        self.say(endpoint, Some(now), None, why(now));
    }

    /// `state` is the one that it has come to; else the one that it is in.
    fn say(&self, endpoint: &str, state: Option<State>, from: Option<&str>, reason: &str) {
        let views = self.group.watched.views();
        let Some(view) = views.iter().find(|view| view.name == endpoint).map(|view| view.view) else {
            return;
        };
        self.events.endpoint(&EndpointEvent {
            group: self.group.watched.name(),
            name: endpoint,
            from,
            state: state.unwrap_or(view.state).as_str(),
            active: view.active,
            reason,
            at: clock::now(),
        });
    }

    /// What waited for the endpoint goes now.
    fn way_is_clear(&self, number: &str, clear: Clear) {
        let (sending, number) = (self.sending.clone(), number.to_owned());
        tokio::spawn(async move { sending.way_is_clear(number, clear).await });
    }
}

/// What has brought an endpoint to this state.
const fn why(state: State) -> &'static str {
    match state {
        State::Suspect | State::Open => "strikes",
        State::HalfOpen => "answers",
        State::Closed => "recovered",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_says_more_than_the_state() {
        for state in [State::Closed, State::Suspect, State::Open, State::HalfOpen] {
            assert_ne!(why(state), state.as_str());
        }
        assert_eq!((why(State::Open), why(State::Closed)), ("strikes", "recovered"));
    }
}
