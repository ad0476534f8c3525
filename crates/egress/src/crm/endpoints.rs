//! The endpoints of the CRM, and which of them is in use.

use policy::failover::Settings;

use super::Endpoint;
use crate::{EgressError, Watched};

/// What the group of the CRM's endpoints is called.
pub const GROUP: &str = "crm";

/// The endpoints of one CRM in order of preference, under watch.
#[derive(Debug, Clone)]
pub struct Endpoints {
    list: Vec<Endpoint>,
    watched: Watched,
}

impl Endpoints {
    /// Joins the endpoints with the group that watches them, whose loop somebody else runs.
    ///
    /// # Errors
    /// When the group is one of other endpoints, or there is none.
    pub fn new(list: Vec<Endpoint>, watched: Watched) -> Result<Self, EgressError> {
        if list.is_empty() || !list.iter().map(Endpoint::name).eq(watched.endpoints()) {
            return Err(EgressError::Group);
        }
        Ok(Self { list, watched })
    }

    /// The only endpoint. Nobody probes it unless somebody runs the group's loop.
    #[must_use]
    pub fn alone(endpoint: Endpoint) -> Self {
        let names = vec![endpoint.name().to_owned()];
        let watched = Watched::new(GROUP.to_owned(), names, Settings::default(), None);
        Self { list: vec![endpoint], watched }
    }

    /// In order of preference; never empty.
    #[must_use]
    pub fn list(&self) -> &[Endpoint] {
        &self.list
    }

    /// The group that says which one is in use.
    #[must_use]
    pub const fn watched(&self) -> &Watched {
        &self.watched
    }
}
