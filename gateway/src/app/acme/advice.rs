//! When the authority itself wants its certificate renewed: ACME Renewal Information, RFC 9773.

use std::time::Duration;

use instant_acme::CertificateIdentifier;
use model::WallTime;
use policy::renewal::Window;
use rustls::pki_types::Der;
use serde::Deserialize;

use super::http::{Caller, Unheard};
use super::kept::Certificate;

/// What the authority says of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Advice {
    pub(super) window: Window,
    /// When it wants to be asked again.
    pub(super) retry_after: Option<Duration>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Directory {
    renewal_info: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Info {
    suggested_window: Suggested,
}

#[derive(Deserialize)]
struct Suggested {
    start: String,
    end: String,
}

/// What the authority knows `certificate` by; `None` where that doesn't say whose key signed it.
pub(super) fn identifier(certificate: &Certificate) -> Option<CertificateIdentifier<'static>> {
    let own = certificate.own()?;
    let known = ingress::authority_and_serial(&own)?;
    let identifier =
        CertificateIdentifier::new(Der::from_slice(known.authority), Der::from_slice(known.serial));
    Some(identifier.into_owned())
}

/// Asks for it; `None` where the authority has no such thing.
///
/// # Errors
/// When it can't be asked, or its answer can't be understood.
pub(super) async fn ask(
    caller: &Caller,
    directory: &str,
    certificate: &CertificateIdentifier<'_>,
) -> Result<Option<Advice>, Unheard> {
    let (body, _) = caller.get(directory).await?;
    let directory: Directory = serde_json::from_slice(&body).map_err(not_understood)?;
    let Some(url) = directory.renewal_info else { return Ok(None) };
    let (body, retry_after) = caller.get(&format!("{}/{certificate}", url.trim_end_matches('/'))).await?;
    Ok(Some(Advice { window: window(&body)?, retry_after }))
}

fn window(body: &[u8]) -> Result<Window, Unheard> {
    let info: Info = serde_json::from_slice(body).map_err(not_understood)?;
    let time = |text: &str| {
        let time: jiff::Timestamp =
            text.parse().map_err(|_| Unheard("a time of its answer is none".to_owned()))?;
        Ok(WallTime(time.as_millisecond()))
    };
    Ok(Window { start: time(&info.suggested_window.start)?, end: time(&info.suggested_window.end)? })
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn not_understood(error: serde_json::Error) -> Unheard {
    Unheard(format!("its answer can't be understood: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_of_rfc_9773_is_understood() {
        // Section 4.2.
        let body =
            br#"{ "suggestedWindow": { "start": "2025-01-02T04:00:00Z", "end": "2025-01-03T04:00:00Z" },
            "explanationURL": "https://acme.example.com/docs/ari" }"#;
        let window = window(body).unwrap();
        assert_eq!(window.start.rfc3339_seconds(), "2025-01-02T04:00:00Z");
        assert_eq!(window.end.0 - window.start.0, 24 * 3_600_000);
    }

    #[test]
    fn what_is_no_answer_is_said() {
        for body in ["", "{}", "[]", r#"{"suggestedWindow": {"start": "soon", "end": "later"}}"#] {
            window(body.as_bytes()).unwrap_err();
        }
    }
}
