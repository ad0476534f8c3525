//! Where calls go, and with which credential.

use std::fmt;

use reqwest::Url;
use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};

use crate::EndpointError;

/// What stands for the phone number id in a path.
const NUMBER: &str = "{phone_number_id}";
/// The last segment of the path of messages, and of that of media.
const MESSAGES: &str = "/messages";
const MEDIA: &str = "/media";

/// A place that takes messages: Meta, or a provider that speaks the same JSON. Prints its token
/// nowhere.
#[derive(Clone)]
pub struct GraphEndpoint {
    name: String,
    /// Without a slash at its end.
    base: String,
    path: String,
    credential: Option<(HeaderName, HeaderValue)>,
    /// The token, where the endpoint takes it as Meta does.
    bearer: Option<String>,
}

impl GraphEndpoint {
    /// Takes an entry of `[[whatsapp.endpoints]]`. `path` is put behind `url` and may hold
    /// `{phone_number_id}`; the token goes into `header` as it is, without one into `Authorization`
    /// as a bearer's.
    ///
    /// # Errors
    /// When `url` isn't an `http` or `https` URL, holds credentials or a query, or `header`, `token`
    /// or `path` can't stand where they go. None of them holds the token.
    pub fn new(
        name: &str,
        url: &str,
        header: Option<&str>,
        token: Option<&str>,
        path: &str,
    ) -> Result<Self, EndpointError> {
        let url = Url::parse(url).map_err(|error| EndpointError::NotAUrl(error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(EndpointError::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(EndpointError::Credentials);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(EndpointError::Query);
        }
        if !path.starts_with('/') || path.contains(['?', '#', '\\', '%']) || path.contains("..") {
            return Err(EndpointError::Path);
        }
        let header = header.map(HeaderName::try_from).transpose().map_err(|_| EndpointError::Header)?;
        let credential = token.map(|token| {
            let text = if header.is_some() { token.to_owned() } else { format!("Bearer {token}") };
            let mut value = HeaderValue::try_from(text).map_err(|_| EndpointError::Token)?;
            value.set_sensitive(true);
            Ok((header.clone().unwrap_or(AUTHORIZATION), value))
        });
        Ok(Self {
            name: name.to_owned(),
            base: url.as_str().trim_end_matches('/').to_owned(),
            path: path.to_owned(),
            credential: credential.transpose()?,
            bearer: token.filter(|_| header.is_none()).map(str::to_owned),
        })
    }

    /// The name of the configuration, for logs and metrics.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it can be asked about its token: a BSP's key isn't one of Meta's.
    #[must_use]
    pub const fn has_token_info(&self) -> bool {
        self.bearer.is_some()
    }

    /// Where messages of `number` go; else what is wrong, in words.
    pub(super) fn messages(&self, number: &str) -> Result<Url, &'static str> {
        self.place(&self.path, number)
    }

    /// Where media of `number` go; else what is wrong, in words.
    pub(super) fn media(&self, number: &str) -> Result<Url, &'static str> {
        let stem = self.path.strip_suffix(MESSAGES);
        let stem =
            stem.ok_or("the endpoint's path doesn't end in /messages, so that of media isn't known")?;
        self.place(&format!("{stem}{MEDIA}"), number)
    }

    /// Where to ask about the token; else why one can't, in words.
    pub(super) fn debug_token(&self) -> Result<Url, &'static str> {
        let token =
            self.bearer.as_deref().ok_or("only a token that goes out as a bearer's can be asked about")?;
        let mut url = self.place("/debug_token", "0")?;
        url.query_pairs_mut().append_pair("input_token", token);
        Ok(url)
    }

    pub(super) const fn credential(&self) -> Option<&(HeaderName, HeaderValue)> {
        self.credential.as_ref()
    }

    fn place(&self, path: &str, number: &str) -> Result<Url, &'static str> {
        // It must stay one segment, whatever it is.
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if number.is_empty() || !number.bytes().all(plain) {
            return Err("the phone_number_id can't stand in a URL");
        }
        let url = format!("{}{}", self.base, path.replace(NUMBER, number));
        Url::parse(&url).map_err(|_| "url and path of the endpoint make no URL")
    }
}

impl fmt::Debug for GraphEndpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("GraphEndpoint").field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = "/{phone_number_id}/messages";

    #[test]
    fn a_path_goes_behind_the_url_and_media_beside_messages() {
        for (base, path, messages, media) in [
            ("https://graph.facebook.com/v24.0", PATH, "/v24.0/77/messages", "/v24.0/77/media"),
            ("https://graph.facebook.com/v24.0/", PATH, "/v24.0/77/messages", "/v24.0/77/media"),
            ("https://waba-v2.360dialog.io", "/messages", "/messages", "/media"),
            ("http://127.0.0.1:9000", "/a/{phone_number_id}/messages", "/a/77/messages", "/a/77/media"),
        ] {
            let endpoint = GraphEndpoint::new("meta", base, None, None, path).unwrap();
            assert_eq!(endpoint.messages("77").unwrap().path(), messages, "{base}");
            assert_eq!(endpoint.media("77").unwrap().path(), media, "{base}");
        }
        let odd = GraphEndpoint::new("odd", "https://a.example", None, None, "/send").unwrap();
        assert!(odd.messages("77").is_ok() && odd.media("77").is_err());
        for number in ["", "7/7", "..", "7?7", "7#7", "%2f", "7 7", "\u{661}"] {
            assert!(odd.messages(number).is_err(), "{number:?}");
        }
    }

    #[test]
    fn a_token_goes_where_it_belongs_and_is_printed_nowhere() {
        let meta =
            GraphEndpoint::new("meta", "https://a.example/v24.0", None, Some("s3cret&"), PATH).unwrap();
        let (name, value) = meta.credential().unwrap();
        assert_eq!((name.as_str(), value.as_bytes()), ("authorization", "Bearer s3cret&".as_bytes()));
        let url = meta.debug_token().unwrap();
        assert_eq!(url.as_str(), "https://a.example/v24.0/debug_token?input_token=s3cret%26");
        let dialog = "https://waba-v2.360dialog.io";
        let backup =
            GraphEndpoint::new("backup", dialog, Some("D360-API-KEY"), Some("s3cret"), "/messages").unwrap();
        let (name, value) = backup.credential().unwrap();
        assert_eq!((name.as_str(), value.as_bytes()), ("d360-api-key", "s3cret".as_bytes()));
        assert!(backup.debug_token().is_err(), "that's Meta's");
        for printed in [format!("{meta:?}"), format!("{backup:#?}"), format!("{value:?}")] {
            assert!(!printed.contains("s3cret"), "{printed}");
        }
    }

    #[test]
    fn what_nothing_can_be_sent_to_is_refused() {
        let good = "https://a.example";
        for (url, header, token, path, expected) in [
            ("ftp://a.example", None, None, PATH, EndpointError::Scheme),
            ("https://me:pw@a.example", None, None, PATH, EndpointError::Credentials),
            ("https://a.example/?key=s3cret", None, None, PATH, EndpointError::Query),
            (good, Some("two words"), None, PATH, EndpointError::Header),
            (good, None, Some("s3cret\r\nx: y"), PATH, EndpointError::Token),
            (good, None, None, "messages", EndpointError::Path),
            (good, None, None, "/messages?a=b", EndpointError::Path),
            (good, None, None, "/a/../messages", EndpointError::Path),
        ] {
            let error = GraphEndpoint::new("meta", url, header, token, path).unwrap_err();
            assert_eq!(error, expected, "{url} {path}");
            assert!(!error.to_string().contains("s3cret"), "{error}");
        }
        let error = GraphEndpoint::new("meta", "graph", None, None, PATH).unwrap_err();
        assert!(matches!(error, EndpointError::NotAUrl(_)));
    }
}
