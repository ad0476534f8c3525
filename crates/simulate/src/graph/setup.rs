//! What is set up at Meta for the store: its app and token, who is subscribed, what is kept of messages.

use serde_json::{Value, json};

/// The longest URL that Meta takes for webhooks, in characters.
pub const CALLBACK_CHARS_MAX: usize = 200;

/// What is set up at Meta, which `wagate doctor` reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setup {
    /// The store's app, as the token and the subscriptions name it.
    pub app_id: String,
    /// Its name.
    pub app_name: String,
    /// `application` of `webhook_configuration`: where the app's own webhooks go. It is only told;
    /// where they really go by default says [`super::Webhooks`].
    pub app_callback: Option<String>,
    /// The portfolio, for `health_status`.
    pub business_id: String,
    /// Whether the store's app is subscribed to the account. It is only told: webhooks go all the same.
    pub subscribed: bool,
    /// Other apps that are subscribed.
    pub other_apps: Vec<App>,
    /// What Meta keeps of messages.
    pub storage: Storage,
    /// What `GET /debug_token` says.
    pub token: Token,
}

impl Default for Setup {
    /// An app that is subscribed alone, with a token for ever and the default storage.
    fn default() -> Self {
        Self {
            app_id: "1".to_owned(),
            app_name: "simulated".to_owned(),
            app_callback: None,
            business_id: "506914307656634".to_owned(),
            subscribed: true,
            other_apps: Vec::new(),
            storage: Storage::Default,
            token: Token::default(),
        }
    }
}

/// An app that gets webhooks of the account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct App {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Where its webhooks go instead of to its own URL.
    pub override_callback_uri: Option<String>,
}

/// `storage_configuration` of a number. Meta's reference of the settings has the words in lower case,
/// its guides in upper case: a client has to read both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Storage {
    /// `default`: message content for 30 days.
    Default,
    /// `in_country_storage_enabled`.
    InCountry {
        /// `data_localization_region`, such as `DE`.
        region: String,
    },
    /// `no_storage_enabled` with `retention_minutes` of 60: what isn't fetched or acknowledged within
    /// an hour is gone.
    NoStorage,
    /// Anything else, as it is.
    Said(Value),
}

impl Storage {
    pub(crate) fn told(&self) -> Value {
        match self {
            Self::Default => json!({ "status": "default" }),
            Self::InCountry { region } => {
                json!({ "status": "in_country_storage_enabled", "data_localization_region": region })
            }
            Self::NoStorage => json!({ "status": "no_storage_enabled", "retention_minutes": 60 }),
            Self::Said(said) => said.clone(),
        }
    }
}

/// What is known of the token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Whether it is good; `None` for whether the door that is asked would let it in. It is only told:
    /// to have calls refused there is `refuse,code=190`.
    pub is_valid: Option<bool>,
    /// When it ends, in seconds since 1970; 0 for never.
    pub expires_at_s: i64,
    /// What it may be used for.
    pub scopes: Vec<String>,
    /// The scopes by the accounts that they hold for; with none, for all.
    pub granular_scopes: Vec<(String, Vec<String>)>,
}

impl Default for Token {
    /// Good for ever, for messages and for management.
    fn default() -> Self {
        Self {
            is_valid: None,
            expires_at_s: 0,
            scopes: ["whatsapp_business_messaging", "whatsapp_business_management"]
                .map(str::to_owned)
                .to_vec(),
            granular_scopes: Vec::new(),
        }
    }
}
