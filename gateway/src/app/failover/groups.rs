//! The groups that the configuration makes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use egress::Watched;
use egress::crm::GROUP as CRM;
use policy::failover::{Settings, State};
use store::Store;

use super::kept;
use crate::api::EndpointView;
use crate::clock;
use crate::config::{Config, Health};

/// The endpoints of one direction; those of WhatsApp are kept per number.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    /// The `phone_number_id`; `None` for the CRM's.
    pub(crate) number: Option<String>,
    /// How they are, and which is used.
    pub(crate) watched: Watched,
    /// How long a probe is waited for.
    pub(crate) patience: Duration,
}

/// All groups. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Groups {
    crm: Option<Group>,
    numbers: Arc<BTreeMap<String, Group>>,
}

impl Groups {
    /// The groups of the configuration, as the last run left them. Blocks on the disk.
    pub(crate) fn open(config: &Config, store: &Store) -> Self {
        let group = |name: String, number: Option<String>, endpoints: Vec<String>, health: &Health| {
            let kept = kept::read(store, &name, &endpoints);
            let watched = Watched::new(name, endpoints, settings(health), kept.as_ref());
            Group { number, watched, patience: health.timeout }
        };
        let crm: Vec<String> = config.crm.endpoints.iter().map(|endpoint| endpoint.name.clone()).collect();
        let crm = (!crm.is_empty()).then(|| group(CRM.to_owned(), None, crm, &config.crm.health));
        let mut numbers = BTreeMap::new();
        for number in &config.numbers {
            let id = &number.phone_number_id;
            let serving = config.whatsapp.serving(id);
            let endpoints: Vec<String> = serving.map(|endpoint| endpoint.name.clone()).collect();
            if !endpoints.is_empty() {
                let name = format!("whatsapp/{id}");
                let group = group(name, Some(id.clone()), endpoints, &config.whatsapp.health);
                numbers.insert(id.clone(), group);
            }
        }
        Self { crm, numbers: Arc::new(numbers) }
    }

    #[cfg(test)]
    pub(crate) fn single(number: &str, endpoint: &str) -> Self {
        let names = vec![endpoint.to_owned()];
        let watched = Watched::new(format!("whatsapp/{number}"), names, Settings::default(), None);
        let group = Group { number: Some(number.to_owned()), watched, patience: Duration::from_secs(5) };
        Self { crm: None, numbers: Arc::new(BTreeMap::from([(number.to_owned(), group)])) }
    }

    /// That of the CRM; `None` where it pulls.
    pub(crate) const fn crm(&self) -> Option<&Group> {
        self.crm.as_ref()
    }

    /// That of a number; `None` where no endpoint serves it.
    pub(crate) fn of(&self, number: &str) -> Option<&Watched> {
        self.numbers.get(number).map(|group| &group.watched)
    }

    /// All of them, the CRM's first.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Group> {
        self.crm.iter().chain(self.numbers.values())
    }

    /// How every endpoint stands.
    pub(crate) fn views(&self) -> Vec<EndpointView> {
        let now = clock::now();
        let mut views = Vec::new();
        for group in self.all() {
            for endpoint in group.watched.views() {
                views.push(EndpointView {
                    group: group.watched.name().to_owned(),
                    name: endpoint.name,
                    state: endpoint.view.state.as_str(),
                    active: endpoint.view.active,
                    strikes: endpoint.view.strikes,
                    latency_ms: endpoint.view.latency.map(millis),
                    last_probe_at: endpoint.last_probe_ago.map(|ago| now.minus(ago).rfc3339_millis()),
                });
            }
        }
        views
    }

    /// What a person should see to.
    pub(crate) fn alarms(&self) -> Vec<String> {
        let mut alarms = Vec::new();
        for group in self.all() {
            let views = group.watched.views();
            let in_use = |state: State| matches!(state, State::Closed | State::Suspect);
            let Some(active) = views.iter().find(|endpoint| endpoint.view.active) else { continue };
            let (name, what) = (&active.name, group.what());
            if views.iter().all(|endpoint| !in_use(endpoint.view.state)) {
                // The CRM's own silence is said by delivery.
                if group.number.is_some() || views.len() > 1 {
                    alarms.push(format!(
                        "{what} can't go out: no endpoint works, and {name} is tried now and then"
                    ));
                }
            } else if let Some(first) = views.first().filter(|first| !first.view.active) {
                alarms.push(format!("{what} go over {name}: {} is out of use", first.name));
            }
        }
        alarms
    }
}

impl Group {
    /// The name of the endpoint in use.
    pub(crate) fn in_use(&self) -> String {
        self.watched.endpoints().get(self.watched.active()).cloned().unwrap_or_default()
    }

    /// What goes by it, for people.
    fn what(&self) -> String {
        match &self.number {
            Some(number) => format!("messages of number {number}"),
            None => "records to the CRM".to_owned(),
        }
    }
}

fn settings(health: &Health) -> Settings {
    Settings {
        every: health.every,
        recheck: health.recheck,
        normal: health.normal,
        slow: health.slow,
        strikes: health.strikes,
        recover: health.recover,
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
