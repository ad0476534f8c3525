//! Which call a request is.

/// A call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Route {
    /// `POST /{number}/messages`; 360dialog leaves the number out.
    Messages { number: Option<String> },
    /// `POST /{number}/media`, likewise.
    Media { number: Option<String> },
    /// `GET /{number}?fields=…`.
    Number { number: String, fields: Vec<String> },
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
            (false, [number]) if number.bytes().all(|byte| byte.is_ascii_digit()) => {
                let fields = value(query, "fields");
                let fields = fields.split(',').filter(|field| !field.is_empty()).map(str::to_owned);
                Self::Number { number: (*number).to_owned(), fields: fields.collect() }
            }
            _ => Self::Unknown,
        }
    }
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
                Route::Number {
                    number: "106540352242922".into(),
                    fields: vec!["health_status".into(), "throughput".into()],
                },
            ),
            (true, "/v24.0/106540352242922", "", Route::Unknown),
            (false, "/", "", Route::Unknown),
            (false, "/v24.0/me", "", Route::Unknown),
        ] {
            assert_eq!(Route::of(post, path, query), route, "{path}");
        }
    }
}
