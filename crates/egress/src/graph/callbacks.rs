//! Where webhooks go, and to which apps. Pure.

use serde_json::Value;

use super::answer::id;
use super::refusal::words;

/// Meta takes no longer callback URL, in characters
/// (<https://developers.facebook.com/docs/whatsapp/embedded-signup/webhooks/override>).
pub const CALLBACK_CHARS_MAX: usize = 200;
/// A URL that is longer than this is no answer of Graph's: it takes none that long.
const URL_BYTES_MAX: usize = 2_048;
/// Apps of an account that are read; one or two are usual.
const APPS_MAX: usize = 64;

/// The callback URLs that apply to a number; the first that is there gets its messages.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Callbacks {
    /// Of the number itself: an override.
    pub phone_number: Option<String>,
    /// Of its WhatsApp Business Account: an override.
    pub account: Option<String>,
    /// Of the app, from its dashboard.
    pub application: Option<String>,
}

impl Callbacks {
    /// Reads `{"webhook_configuration": {phone_number, whatsapp_business_account, application}, id}`.
    /// Graph leaves out what isn't set, and the whole where nothing is; then its `id` vouches for it.
    pub(super) fn read(answer: &Value) -> Option<Self> {
        let Some(configuration) = answer.get("webhook_configuration") else {
            id(answer.get("id")?)?;
            return Some(Self::default());
        };
        let configuration = configuration.as_object()?;
        let of = |key| optional_url(configuration.get(key));
        Some(Self {
            phone_number: of("phone_number")?,
            account: of("whatsapp_business_account")?,
            application: of("application")?,
        })
    }
}

/// An app that gets the webhooks of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscribedApp {
    /// Its id.
    pub id: String,
    /// Its name, for people, at most 500 bytes; may be empty.
    pub name: String,
    /// The account's callback URL for it, where it isn't the app's own.
    pub override_callback: Option<String>,
}

impl SubscribedApp {
    /// Reads `{"data": [{whatsapp_business_api_data: {id, link, name}, override_callback_uri}]}`. One
    /// that can't be read spoils the list: that an app isn't in it has consequences.
    pub(super) fn read_all(answer: &Value) -> Option<Vec<Self>> {
        let apps = answer.get("data")?.as_array()?;
        apps.iter().take(APPS_MAX).map(Self::read).collect()
    }

    fn read(app: &Value) -> Option<Self> {
        let data = app.get("whatsapp_business_api_data")?;
        Some(Self {
            id: id(data.get("id")?)?,
            name: data.get("name").and_then(words).unwrap_or_default(),
            override_callback: optional_url(app.get("override_callback_uri"))?,
        })
    }
}

/// A URL, or none where it is absent, null or empty; `None` where it is something else.
#[expect(clippy::option_option, reason = "what isn't set and what can't be read have to be told apart")]
fn optional_url(value: Option<&Value>) -> Option<Option<String>> {
    match value {
        None | Some(Value::Null) => Some(None),
        Some(Value::String(url)) if url.is_empty() => Some(None),
        Some(Value::String(url)) if url.len() <= URL_BYTES_MAX && !url.contains(char::is_control) => {
            Some(Some(url.clone()))
        }
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Value {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn what_is_set_is_told_from_what_is_not() {
        let url = |text: &str| Some(format!("https://{text}.example/webhook"));
        let all = r#"{"webhook_configuration":{"phone_number":"https://a.example/webhook",
            "whatsapp_business_account":"https://b.example/webhook","application":"https://c.example/webhook"}}"#;
        let expected = Callbacks { phone_number: url("a"), account: url("b"), application: url("c") };
        assert_eq!(Callbacks::read(&json(all)), Some(expected));
        let app = Callbacks { application: url("c"), ..Callbacks::default() };
        for body in [
            r#"{"webhook_configuration":{"application":"https://c.example/webhook"},"id":"1"}"#,
            r#"{"webhook_configuration":{"phone_number":"","whatsapp_business_account":null,
                "application":"https://c.example/webhook"}}"#,
        ] {
            assert_eq!(Callbacks::read(&json(body)), Some(app.clone()), "{body}");
        }
        assert_eq!(Callbacks::read(&json(r#"{"id":"106540352242922"}"#)), Some(Callbacks::default()));
        let long = format!(r#"{{"webhook_configuration":{{"application":"{}"}}}}"#, "x".repeat(2_049));
        for body in [
            "{}",
            "[]",
            r#"{"id":7}"#,
            r#"{"webhook_configuration":null}"#,
            r#"{"webhook_configuration":{"phone_number":7}}"#,
            r#"{"webhook_configuration":{"application":"a\nb"}}"#,
            &long,
        ] {
            assert_eq!(Callbacks::read(&json(body)), None, "{body}");
        }
    }

    #[test]
    fn apps_are_read_all_or_not_at_all() {
        let body = r#"{"data":[{"whatsapp_business_api_data":{"id":"67","link":"https://x","name":"Lucky Shrub"},
            "override_callback_uri":"https://a.example/webhook"},{"whatsapp_business_api_data":{"id":"68"}}]}"#;
        let expected = [
            SubscribedApp {
                id: "67".into(),
                name: "Lucky Shrub".into(),
                override_callback: Some("https://a.example/webhook".into()),
            },
            SubscribedApp { id: "68".into(), name: String::new(), override_callback: None },
        ];
        assert_eq!(SubscribedApp::read_all(&json(body)).as_deref(), Some(&expected[..]));
        assert_eq!(SubscribedApp::read_all(&json(r#"{"data":[]}"#)), Some(vec![]));
        for body in [
            "{}",
            r#"{"data":{}}"#,
            r#"{"data":[7]}"#,
            r#"{"data":[{"whatsapp_business_api_data":{"id":"67"}},{"whatsapp_business_api_data":{}}]}"#,
            r#"{"data":[{"whatsapp_business_api_data":{"id":"67"},"override_callback_uri":7}]}"#,
        ] {
            assert_eq!(SubscribedApp::read_all(&json(body)), None, "{body}");
        }
        let many = vec![r#"{"whatsapp_business_api_data":{"id":"1"}}"#; 99].join(",");
        let read = SubscribedApp::read_all(&json(&format!(r#"{{"data":[{many}]}}"#)));
        assert_eq!(read.map(|apps| apps.len()), Some(APPS_MAX));
    }
}
