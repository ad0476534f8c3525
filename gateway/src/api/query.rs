//! Query strings, strictly: an unknown or repeated parameter is a mistake that the caller hears of.

use std::collections::BTreeMap;

use axum::extract::Query;
use axum::http::Uri;

use super::problem::Problem;

/// The parameters of a request.
#[derive(Debug)]
pub(super) struct Parameters(BTreeMap<String, String>);

impl Parameters {
    /// Takes the query apart; only `known` names may be in it, each once.
    pub(super) fn of(uri: &Uri, known: &[&str]) -> Result<Self, Problem> {
        let pairs: Query<Vec<(String, String)>> =
            Query::try_from_uri(uri).map_err(|_| Problem::bad_request("the query can't be read"))?;
        let mut parameters = BTreeMap::new();
        for (name, value) in pairs.0 {
            if !known.contains(&name.as_str()) {
                let detail = format!("there is no parameter `{name}`; there are: {}", known.join(", "));
                return Err(Problem::bad_request(detail).with("parameter", name));
            }
            if parameters.insert(name.clone(), value).is_some() {
                return Err(Problem::bad_request(format!("`{name}` is there twice")).with("parameter", name));
            }
        }
        Ok(Self(parameters))
    }

    /// A parameter, read by `read`; `what` says what it should be.
    pub(super) fn get<T>(
        &self,
        name: &str,
        what: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, Problem> {
        match self.0.get(name) {
            None => Ok(None),
            Some(value) => match read(value) {
                Some(value) => Ok(Some(value)),
                None => Err(Problem::bad_request(format!("`{name}` must be {what}")).with("parameter", name)),
            },
        }
    }

    /// `limit`, between 1 and `max`.
    pub(super) fn limit(&self, default: usize, max: usize) -> Result<usize, Problem> {
        let what = format!("a number from 1 to {max}");
        let limit =
            self.get("limit", &what, |text| text.parse().ok().filter(|limit| (1..=max).contains(limit)))?;
        Ok(limit.unwrap_or(default))
    }

    /// `after`, a sequence.
    pub(super) fn after(&self) -> Result<Option<model::Sequence>, Problem> {
        self.get("after", "a sequence, such as 00000000000000001234", |text| text.parse().ok())
    }
}
