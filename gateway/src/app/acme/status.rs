//! How the certificate stands, for those who ask.

use model::WallTime;
use policy::renewal::Urgency;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use serde::Serialize;

/// A certificate that is fetched by ACME, at a glance.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Status {
    /// The names that are wanted.
    pub(crate) names: Vec<String>,
    /// The authority's directory.
    pub(crate) directory: String,
    /// What the authority calls this box's account, a URL; absent before there is one. A CAA record may name it.
    pub(crate) account: Option<String>,
    /// How it stands.
    pub(crate) state: State,
    /// When it is to be renewed, by the box's clock; absent without a certificate.
    pub(crate) renews_at: Option<String>,
    /// Whether that is the authority's wish and not two thirds of its life.
    pub(crate) by_advice: bool,
    /// When the next attempt may begin, where one is due, by the box's clock.
    pub(crate) next_attempt_at: Option<String>,
    /// Failures since the last success.
    pub(crate) failures: u32,
    /// The last failure in words; none after a success.
    pub(crate) last_error: Option<String>,
    /// What to do about it.
    pub(crate) next: Option<String>,
    /// There is none, or it isn't for the names that are wanted, and an attempt has failed.
    #[serde(skip)]
    pub(crate) wanting: bool,
    #[serde(skip)]
    pub(crate) ends: Option<WallTime>,
    #[serde(skip)]
    pub(crate) urgency: Option<Urgency>,
}

/// How a certificate stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    /// There is none yet, and it is being got.
    #[default]
    Getting,
    /// There is none, and the last attempt has failed.
    Missing,
    /// There is one, and nothing to do.
    Valid,
    /// There is one, and it is being renewed.
    Renewing,
    /// There is one, and the last attempt to renew it has failed.
    Failing,
}

impl Status {
    /// What a person should see to: words that stay the same while it does.
    pub(crate) fn alarms(&self) -> Vec<String> {
        let advice = self.next.as_ref().map_or_else(String::new, |next| format!("; what to do: {next}"));
        if matches!(self.state, State::Missing) {
            return vec![format!(
                "the certificate authority hasn't given a certificate yet, and without one Meta can't reach this box{advice}"
            )];
        }
        let ends = self.ends.map(WallTime::rfc3339_seconds).unwrap_or_default();
        match self.urgency {
            Some(Urgency::Near) => {
                vec![format!("the certificate ends at {ends}, and couldn't be renewed yet{advice}")]
            }
            Some(Urgency::Over) => {
                vec![format!("the certificate has ended at {ends}: Meta refuses this box{advice}")]
            }
            Some(Urgency::Calm) | None if self.wanting => {
                vec![format!("the certificate in use isn't the one that the configuration wants{advice}")]
            }
            Some(Urgency::Calm) | None => Vec::new(),
        }
    }
}

/// What is counted.
#[derive(Debug, Clone, Default)]
pub(super) struct Metrics {
    pub(super) renewals: Family<[(&'static str, &'static str); 1], Counter>,
    pub(super) failing: Gauge,
}

impl Metrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "wagate_certificate_renewals",
            "Attempts to get a certificate by ACME, by result",
            self.renewals.clone(),
        );
        registry.register(
            "wagate_certificate_renewal_failing",
            "1 while the last attempt to get a certificate by ACME has failed",
            self.failing.clone(),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_person_is_told_goes_by_how_near_the_end_is() {
        let ends = Some(WallTime::from_seconds(1_795_305_600));
        let next = Some("forward port 443".to_owned());
        let told = |state, urgency, wanting| {
            let status = Status { state, urgency, wanting, ends, next: next.clone(), ..Status::default() };
            status.alarms().join("|")
        };
        assert_eq!(told(State::Getting, None, false), "");
        assert_eq!(told(State::Failing, Some(Urgency::Calm), false), "", "there is time");
        for (state, urgency, wanting, start) in [
            (State::Missing, None, true, "the certificate authority hasn't given a certificate yet"),
            (State::Failing, Some(Urgency::Near), false, "the certificate ends at 2026-11-22T00:00:00Z, and"),
            (State::Failing, Some(Urgency::Over), false, "the certificate has ended at 2026-11-22T00:00:00Z"),
            (State::Failing, Some(Urgency::Calm), true, "the certificate in use isn't the one"),
        ] {
            let told = told(state, urgency, wanting);
            assert!(told.starts_with(start) && told.ends_with("what to do: forward port 443"), "{told}");
        }
    }
}
