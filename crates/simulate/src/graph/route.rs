//! Which call a request is.

/// A call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Route {
    /// `POST /{number}/messages`; 360dialog leaves the number out.
    Messages { number: Option<String> },
    /// `POST /{number}/media`, likewise.
    Media { number: Option<String> },
    /// `GET /{id}?fields=…` of a number or a file.
    Node { id: String, fields: Vec<String> },
    /// `POST /{number}` with `webhook_configuration`.
    Configure { number: String },
    /// `GET /{number}/settings`.
    Settings { number: String },
    /// `GET` or `POST /{account}/subscribed_apps`.
    Subscriptions { account: String, post: bool },
    /// `GET` of a file by its URL.
    Download { id: String, ends: String, hash: String },
    /// `GET /debug_token?input_token=…`.
    DebugToken { token: String },
    /// `GET /health_status` of 360dialog.
    Health,
    /// Nothing that is known.
    Unknown,
}

impl Route {
    /// The route of a request; a version such as `/v24.0` before it may be left out.
    pub(crate) fn of(post: bool, path: &str, query: &str) -> Self {
        let mut parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        if parts.first().is_some_and(|first| is_version(first)) {
            parts.remove(0);
        }
        match (post, &parts[..]) {
            (true, ["messages"]) => Self::Messages { number: None },
            (true, ["media"]) => Self::Media { number: None },
            (true, [number, "messages"]) => Self::Messages { number: Some((*number).to_owned()) },
            (true, [number, "media"]) => Self::Media { number: Some((*number).to_owned()) },
            (false, ["debug_token"]) => Self::DebugToken { token: value(query, "input_token") },
            (false, ["health_status"]) => Self::Health,
            (post, [account, "subscribed_apps"]) => {
                Self::Subscriptions { account: (*account).to_owned(), post }
            }
            (false, [number, "settings"]) => Self::Settings { number: (*number).to_owned() },
            (false, ["whatsapp_business", "attachments"]) => Self::Download {
                id: value(query, "mid"),
                ends: value(query, "ext"),
                hash: value(query, "hash"),
            },
            (true, [number]) if is_id(number) => Self::Configure { number: (*number).to_owned() },
            (false, [id]) if is_id(id) => {
                let fields = value(query, "fields");
                let fields = fields.split(',').filter(|field| !field.is_empty()).map(str::to_owned);
                Self::Node { id: (*id).to_owned(), fields: fields.collect() }
            }
            _ => Self::Unknown,
        }
    }

    /// Whether a version such as `/v24.0` stands before it.
    pub(crate) fn has_version(path: &str) -> bool {
        path.split('/').find(|part| !part.is_empty()).is_some_and(is_version)
    }

    /// The number that it is about, where it names one.
    pub(crate) fn number(&self) -> Option<&str> {
        match self {
            Self::Messages { number } | Self::Media { number } => number.as_deref(),
            Self::Configure { number } | Self::Settings { number } => Some(number),
            Self::Node { .. }
            | Self::Subscriptions { .. }
            | Self::Download { .. }
            | Self::DebugToken { .. }
            | Self::Health
            | Self::Unknown => None,
        }
    }
}

fn is_id(part: &str) -> bool {
    part.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_version(part: &str) -> bool {
    let version = part.strip_prefix('v').and_then(|rest| rest.split_once('.'));
    version.is_some_and(|(major, minor)| major.parse::<u16>().is_ok() && minor.parse::<u16>().is_ok())
}

/// A value of the query, decoded; empty where there is none.
fn value(query: &str, key: &str) -> String {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let raw = pairs.filter(|(name, _)| *name == key).map(|(_, value)| value).next().unwrap_or_default();
    let mut bytes = raw.bytes();
    let mut decoded = Vec::with_capacity(raw.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [bytes.next().unwrap_or_default(), bytes.next().unwrap_or_default()];
                let digits = std::str::from_utf8(&digits).ok();
                digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()).unwrap_or(b'?')
            }
            byte => byte,
        });
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_shapes_with_and_without_a_version() {
        let number = || Some("106540352242922".to_owned());
        for (post, path, query, route) in [
            (true, "/v24.0/106540352242922/messages", "", Route::Messages { number: number() }),
            (true, "/106540352242922/messages", "", Route::Messages { number: number() }),
            (true, "/messages", "", Route::Messages { number: None }),
            (true, "/v24.0/106540352242922/media", "", Route::Media { number: number() }),
            (true, "/media", "", Route::Media { number: None }),
            (false, "/health_status", "", Route::Health),
            (false, "/v24.0/debug_token", "input_token=a%2Fb+c", Route::DebugToken { token: "a/b c".into() }),
            (
                false,
                "/v24.0/106540352242922",
                "fields=health_status%2Cthroughput",
                Route::Node {
                    id: "106540352242922".into(),
                    fields: vec!["health_status".into(), "throughput".into()],
                },
            ),
            (true, "/v24.0/1", "", Route::Configure { number: "1".into() }),
            (false, "/v24.0/1/settings", "", Route::Settings { number: "1".into() }),
            (true, "/7/subscribed_apps", "", Route::Subscriptions { account: "7".into(), post: true }),
            (false, "/7/subscribed_apps", "", Route::Subscriptions { account: "7".into(), post: false }),
            (
                false,
                "/whatsapp_business/attachments/",
                "mid=1&ext=2&hash=3",
                Route::Download { id: "1".into(), ends: "2".into(), hash: "3".into() },
            ),
            (true, "/v24.0/1/settings", "", Route::Unknown),
            (false, "/", "", Route::Unknown),
            (false, "/v24.0/me", "", Route::Unknown),
        ] {
            assert_eq!(Route::of(post, path, query), route, "{path}");
        }
    }
}
