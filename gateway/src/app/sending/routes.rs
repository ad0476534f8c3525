//! Which endpoint a number's calls go to.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context as _;
use egress::{Graph, GraphEndpoint, GraphSettings, Live};
use outbox::CALLS_MAX;
use tokio::sync::watch;

use crate::app::failover::Groups;
use crate::app::product;
use crate::config::{Config, WhatsAppEndpoint};

/// The endpoints of every number, in order of preference; numbers share the client of an endpoint.
#[derive(Debug, Default)]
pub(crate) struct Routes(BTreeMap<String, Vec<Graph>>);

impl Routes {
    pub(super) fn new(config: &Config) -> anyhow::Result<Self> {
        let mut routes: BTreeMap<String, Vec<Graph>> = BTreeMap::new();
        for number in &config.numbers {
            routes.insert(number.phone_number_id.clone(), Vec::new());
        }
        for entry in &config.whatsapp.endpoints {
            let served: Vec<&mut Vec<Graph>> =
                routes.iter_mut().filter(|(id, _)| entry.serves(id)).map(|(_, graphs)| graphs).collect();
            let idle_connections = served.len().max(1) * CALLS_MAX as usize;
            let graph = Graph::new(endpoint(entry)?, GraphSettings::new(product(), idle_connections));
            for graphs in served {
                graphs.push(graph.clone());
            }
        }
        Ok(Self(routes))
    }

    /// The endpoint of a number at a place in the order of preference, from 0. A place means the same endpoint
    /// before and after tokens were replaced: names and their order change with the configuration only.
    pub(crate) fn at(&self, number: &str, place: usize) -> Option<&Graph> {
        self.0.get(number)?.get(place)
    }

    /// Every endpoint once, with one of the numbers that it serves first.
    pub(super) fn all(&self) -> Vec<(&str, &Graph)> {
        let mut all: Vec<(&str, &Graph)> = Vec::new();
        for (number, graphs) in &self.0 {
            for graph in graphs {
                if !all.iter().any(|(_, known)| known.endpoint().name() == graph.endpoint().name()) {
                    all.push((number, graph));
                }
            }
        }
        all
    }
}

/// The way that a number's calls take now: over the endpoint that its group uses.
#[derive(Debug, Clone)]
pub(crate) struct Ways {
    routes: watch::Receiver<Arc<Routes>>,
    groups: Groups,
}

impl Ways {
    pub(super) const fn new(routes: watch::Receiver<Arc<Routes>>, groups: Groups) -> Self {
        Self { routes, groups }
    }

    #[cfg(test)]
    pub(crate) fn none() -> Self {
        Self::new(watch::Sender::new(Arc::default()).subscribe(), Groups::default())
    }

    #[cfg(test)]
    pub(crate) fn single(number: &str, endpoint: GraphEndpoint) -> Self {
        let groups = Groups::single(number, endpoint.name());
        let graph = Graph::new(endpoint, GraphSettings::new(product(), 1));
        let routes = Routes(BTreeMap::from([(number.to_owned(), vec![graph])]));
        Self::new(watch::Sender::new(Arc::new(routes)).subscribe(), groups)
    }

    /// What it goes by.
    #[cfg(test)]
    pub(crate) fn routes(&self) -> watch::Receiver<Arc<Routes>> {
        self.routes.clone()
    }

    /// Whether there is an endpoint to go over.
    pub(crate) fn serves(&self, number: &str) -> bool {
        self.groups.of(number).is_some()
    }

    /// A call of a number begins: the client to make it with, and who is to be told how it ends. `patient` says that
    /// how long it takes says nothing of the endpoint. `None` where no endpoint serves the number.
    pub(crate) fn begin(&self, number: &str, patient: bool) -> Option<(Graph, Live)> {
        let group = self.groups.of(number)?;
        let place = group.active();
        let graph = self.routes.borrow().at(number, place)?.clone();
        Some((graph, group.begin_at(place, patient)))
    }
}

/// An entry of `[[whatsapp.endpoints]]`, with all that it has of its own.
pub(crate) fn endpoint(entry: &WhatsAppEndpoint) -> anyhow::Result<GraphEndpoint> {
    let header = entry.header.as_ref().map(reqwest::header::HeaderName::as_str);
    let token = entry.token.as_ref().map(crate::config::Secret::expose);
    let roots = entry.ca.as_ref().map_or(&[][..], |roots| &roots.pem);
    GraphEndpoint::new(&entry.name, entry.url.as_str(), header, token, &entry.path)
        .map_err(anyhow::Error::from)
        .and_then(|endpoint| Ok(endpoint.with_roots(roots)?))
        .map(|endpoint| endpoint.with_timeout(entry.timeout).with_user_id_field(entry.user_id_field))
        .with_context(|| format!("`whatsapp.endpoints`: {}", entry.name))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{self, Source};

    fn routes(token: &str) -> Routes {
        let text = format!(
            r#"
            [webhook]
            verify_token = "v"
            app_secret = "s"
            tls = {{ self_signed = true }}
            [api]
            token = "0123456789abcdef0123456789abcdef"
            [[numbers]]
            phone_number_id = "1"
            [[numbers]]
            phone_number_id = "2"
            [[whatsapp.endpoints]]
            name = "meta"
            url = "https://graph.facebook.com/v24.0"
            token = "{token}"
            [[whatsapp.endpoints]]
            name = "backup"
            url = "https://waba-v2.360dialog.io"
            header = "D360-API-KEY"
            token = "k"
            path = "/messages"
            numbers = ["2"]
            "#
        );
        let source = Source::new(Path::new("/nowhere/wagate.toml"), text);
        Routes::new(&config::parse(source, &|_| None).unwrap().config).unwrap()
    }

    #[test]
    fn a_number_has_its_endpoints_in_order_and_tokens_change_no_place() {
        for token in ["old", "new"] {
            let routes = routes(token);
            let name = |number, place| routes.at(number, place).map(|graph| graph.endpoint().name());
            assert_eq!((name("2", 0), name("2", 1), name("2", 2)), (Some("meta"), Some("backup"), None));
            assert_eq!((name("1", 0), name("1", 1), name("3", 0)), (Some("meta"), None, None));
            let all: Vec<_> = routes.all().iter().map(|(id, graph)| (*id, graph.endpoint().name())).collect();
            assert_eq!(all, [("1", "meta"), ("2", "backup")]);
        }
    }
}
