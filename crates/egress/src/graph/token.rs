//! What Graph says of a token.

use model::WallTime;
use serde_json::Value;

use super::answer::id;

/// What `GET /debug_token` tells of the token that it was asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenInfo {
    /// Whether it is let in.
    pub is_valid: bool,
    /// The app that it belongs to; `None` where Graph doesn't say.
    pub app_id: Option<String>,
    /// When it was given out; `None` where Graph doesn't say.
    pub issued_at: Option<WallTime>,
    /// When it ends; `None` for never.
    pub expires_at: Option<WallTime>,
    /// When the access to data ends, which a person must renew; `None` for never.
    pub data_access_expires_at: Option<WallTime>,
    /// What it may be used for: `whatsapp_business_messaging`, ...
    pub scopes: Vec<String>,
}

impl TokenInfo {
    /// Reads `{"data": {is_valid, app_id, issued_at, expires_at, data_access_expires_at, scopes}}`; times are
    /// seconds since 1970, and 0 is never.
    pub(super) fn read(answer: &Value) -> Option<Self> {
        let data = answer.get("data")?;
        let time = |key| {
            let seconds = data.get(key)?.as_i64().filter(|seconds| *seconds > 0)?;
            Some(WallTime::from_seconds(seconds))
        };
        let scopes = data.get("scopes").and_then(Value::as_array).into_iter().flatten();
        Some(Self {
            is_valid: data.get("is_valid")?.as_bool()?,
            app_id: data.get("app_id").and_then(id),
            issued_at: time("issued_at"),
            expires_at: time("expires_at"),
            data_access_expires_at: time("data_access_expires_at"),
            scopes: scopes.filter_map(|scope| Some(scope.as_str()?.to_owned())).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<TokenInfo> {
        TokenInfo::read(&serde_json::from_str(text).unwrap())
    }

    #[test]
    fn a_token_without_end_and_one_that_is_over() {
        let endless = read(
            r#"{"data":{"app_id":"1","type":"SYSTEM_USER","is_valid":true,"issued_at":1764000000,
                "expires_at":0,"data_access_expires_at":1771776000,
                "scopes":["whatsapp_business_management",7,"whatsapp_business_messaging"]}}"#,
        );
        let expected = TokenInfo {
            is_valid: true,
            app_id: Some("1".to_owned()),
            issued_at: Some(WallTime(1_764_000_000_000)),
            expires_at: None,
            data_access_expires_at: Some(WallTime(1_771_776_000_000)),
            scopes: ["whatsapp_business_management", "whatsapp_business_messaging"]
                .map(str::to_owned)
                .to_vec(),
        };
        assert_eq!(endless, Some(expected));
        let over =
            read(r#"{"data":{"is_valid":false,"error":{"code":190},"expires_at":9223372036854775807}}"#);
        let over = over.unwrap();
        assert!(
            !over.is_valid
                && over.app_id.is_none()
                && over.scopes.is_empty()
                && over.expires_at > over.issued_at
        );
        for nonsense in ["{}", "[]", r#"{"data":[]}"#, r#"{"data":{}}"#, r#"{"data":{"is_valid":1}}"#] {
            assert_eq!(read(nonsense), None, "{nonsense}");
        }
    }
}
