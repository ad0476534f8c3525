//! What Meta keeps of a number's messages. Pure.

use serde_json::Value;

use super::answer::id;

/// How long, and where, Meta keeps what a number's customers and the store write
/// (<https://developers.facebook.com/docs/whatsapp/cloud-api/overview/local-storage> and
/// `no-storage` beside it).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Storage {
    /// As usual: webhooks are repeated for days, media are kept for a week or more.
    Default,
    /// In a country of the store's choice, else as usual.
    InCountry {
        /// The country, such as `BR`; `None` where Graph doesn't say.
        region: Option<String>,
    },
    /// An hour at most: what the box doesn't take within it, webhooks and media, is lost for good.
    NoStorage {
        /// How long in minutes; `None` where Graph doesn't say. Only 60 is known.
        retention_minutes: Option<u64>,
    },
    /// A word that isn't known.
    Other(String),
}

impl Storage {
    /// Reads `{"storage_configuration": {status, data_localization_region, retention_minutes}}`;
    /// `None` where there is no status.
    pub(super) fn read(answer: &Value) -> Option<Self> {
        let configuration = answer.get("storage_configuration")?;
        let status = id(configuration.get("status")?)?.to_ascii_uppercase();
        Some(match status.as_str() {
            "DEFAULT" | "IN_COUNTRY_STORAGE_DISABLED" => Self::Default,
            "IN_COUNTRY_STORAGE_ENABLED" => {
                Self::InCountry { region: configuration.get("data_localization_region").and_then(id) }
            }
            "NO_STORAGE_ENABLED" => Self::NoStorage {
                retention_minutes: configuration.get("retention_minutes").and_then(Value::as_u64),
            },
            _ => Self::Other(status),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_documented_word_is_known() {
        let read = |text: &str| Storage::read(&serde_json::from_str(text).unwrap());
        for (configuration, expected) in [
            (r#"{"status":"DEFAULT"}"#, Storage::Default),
            (r#"{"status":"default"}"#, Storage::Default),
            (r#"{"status":"IN_COUNTRY_STORAGE_DISABLED"}"#, Storage::Default),
            (
                r#"{"status":"IN_COUNTRY_STORAGE_ENABLED","data_localization_region":"BR"}"#,
                Storage::InCountry { region: Some("BR".into()) },
            ),
            (r#"{"status":"in_country_storage_enabled"}"#, Storage::InCountry { region: None }),
            (
                r#"{"status":"NO_STORAGE_ENABLED","retention_minutes":60}"#,
                Storage::NoStorage { retention_minutes: Some(60) },
            ),
            (r#"{"status":"NO_STORAGE_ENABLED"}"#, Storage::NoStorage { retention_minutes: None }),
            (r#"{"status":"SHORT_STORAGE"}"#, Storage::Other("SHORT_STORAGE".into())),
        ] {
            let body = format!(r#"{{"storage_configuration":{configuration},"calling":{{}}}}"#);
            assert_eq!(read(&body), Some(expected), "{body}");
        }
        for body in
            ["{}", "[]", r#"{"storage_configuration":{}}"#, r#"{"storage_configuration":{"status":7}}"#]
        {
            assert_eq!(read(body), None, "{body}");
        }
    }
}
