//! Which endpoint a number's calls go to.

use std::collections::BTreeMap;

use anyhow::Context as _;
use egress::GraphEndpoint;

use crate::config::{Config, WhatsAppEndpoint};

/// The endpoints of every number, in order of preference.
#[derive(Debug, Default)]
pub(crate) struct Routes(BTreeMap<String, Vec<GraphEndpoint>>);

impl Routes {
    pub(super) fn new(config: &Config) -> anyhow::Result<Self> {
        let mut routes = BTreeMap::new();
        for number in &config.numbers {
            let id = &number.phone_number_id;
            let serving = config.whatsapp.endpoints.iter().filter(|endpoint| serves(endpoint, id));
            let endpoints: anyhow::Result<Vec<_>> = serving.map(endpoint).collect();
            routes.insert(id.clone(), endpoints?);
        }
        Ok(Self(routes))
    }

    #[cfg(test)]
    pub(crate) fn single(number: &str, endpoint: GraphEndpoint) -> Self {
        Self(BTreeMap::from([(number.to_owned(), vec![endpoint])]))
    }

    /// The endpoint that a number's next call goes to.
    pub(crate) fn of(&self, number: &str) -> Option<&GraphEndpoint> {
        self.0.get(number)?.first()
    }

    /// Every endpoint once, with one of the numbers that it serves first.
    pub(super) fn all(&self) -> Vec<(&str, &GraphEndpoint)> {
        let mut all: Vec<(&str, &GraphEndpoint)> = Vec::new();
        for (number, endpoints) in &self.0 {
            for endpoint in endpoints {
                if !all.iter().any(|(_, known)| known.name() == endpoint.name()) {
                    all.push((number, endpoint));
                }
            }
        }
        all
    }
}

/// Whether an endpoint serves a number.
pub(crate) fn serves(endpoint: &WhatsAppEndpoint, number: &str) -> bool {
    endpoint.numbers.as_ref().is_none_or(|numbers| numbers.iter().any(|id| id == number))
}

fn endpoint(endpoint: &WhatsAppEndpoint) -> anyhow::Result<GraphEndpoint> {
    let header = endpoint.header.as_ref().map(reqwest::header::HeaderName::as_str);
    let token = endpoint.token.as_ref().map(crate::config::Secret::expose);
    GraphEndpoint::new(&endpoint.name, endpoint.url.as_str(), header, token, &endpoint.path)
        .with_context(|| format!("`whatsapp.endpoints`: {}", endpoint.name))
}
