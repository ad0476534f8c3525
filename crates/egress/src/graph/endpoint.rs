//! Where calls go, and with which credential.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use model::UserIdField;
use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};
use reqwest::{RequestBuilder, Url};

use crate::{EgressError, EndpointError, tls};

/// Time for a whole call, from its beginning to the end of the answer (contract, section 2).
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// What stands for the phone number id in a path.
const NUMBER: &str = "{phone_number_id}";
/// The last segment of the path of messages, and of that of media.
const MESSAGES: &str = "/messages";
const MEDIA: &str = "/media";
/// The path of messages where nothing else is said: that of Graph itself.
const GRAPH_PATH: &str = "/{phone_number_id}/messages";
/// What stands in for the token where an answer says it.
const NO_TOKEN: &str = "(the token)";

/// A place that takes messages: Meta, or a provider that speaks the same JSON. Prints its token
/// nowhere.
#[derive(Clone)]
pub struct GraphEndpoint {
    name: String,
    url: Url,
    path: String,
    credential: Option<(HeaderName, HeaderValue)>,
    token: Option<Arc<str>>,
    /// It takes the token as Meta does.
    as_bearer: bool,
    timeout: Duration,
    /// Root certificates in PEM.
    roots: Arc<[u8]>,
    user_id_field: UserIdField,
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
            url,
            path: path.to_owned(),
            credential: credential.transpose()?,
            token: token.filter(|token| !token.is_empty()).map(Arc::from),
            as_bearer: header.is_none(),
            timeout: ANSWER_TIMEOUT,
            roots: Arc::default(),
            user_id_field: UserIdField::default(),
        })
    }

    /// With another time for a whole call than [`ANSWER_TIMEOUT`].
    #[must_use]
    pub const fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// With root certificates of the operator in PEM, on top of the ordinary ones, for this endpoint
    /// alone; none where `pem` is empty.
    ///
    /// # Errors
    /// When one of them is none, or there is something and no certificate in it.
    pub fn with_roots(mut self, pem: &[u8]) -> Result<Self, EgressError> {
        tls::check(pem)?;
        self.roots = Arc::from(pem);
        Ok(self)
    }

    /// With another member for a business-scoped user id than `recipient`.
    #[must_use]
    pub const fn with_user_id_field(mut self, field: UserIdField) -> Self {
        self.user_id_field = field;
        self
    }

    /// The name of the configuration, for logs and metrics.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The member that carries a business-scoped user id in a message.
    #[must_use]
    pub const fn user_id_field(&self) -> UserIdField {
        self.user_id_field
    }

    /// Whether its paths are Graph's, and with them the calls beside those of messages and media: a
    /// provider whose path is another has none of them.
    #[must_use]
    pub fn is_graph(&self) -> bool {
        self.path == GRAPH_PATH
    }

    /// Whether it can be asked about its token: a BSP's key isn't one of Meta's.
    #[must_use]
    pub fn has_token_info(&self) -> bool {
        self.is_graph() && self.bearer().is_some()
    }

    /// Time for a whole call.
    pub(super) const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Root certificates in PEM.
    pub(super) fn roots(&self) -> &[u8] {
        &self.roots
    }

    /// Where it is, as the configuration has it.
    pub(super) const fn url(&self) -> &Url {
        &self.url
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

    /// Where what is known of a file stands; else what is wrong, in words.
    pub(super) fn file(&self, id: &str, number: &str) -> Result<Url, &'static str> {
        if !is_plain(id) {
            return Err("the media id can't stand in a URL");
        }
        let stem = self.path.strip_suffix(MESSAGES);
        let stem =
            stem.ok_or("the endpoint's path doesn't end in /messages, so that of media isn't known")?;
        // A file belongs to no number's path.
        let stem = stem.strip_suffix(NUMBER).map_or(stem, |stem| stem.trim_end_matches('/'));
        let mut url = self.place(&format!("{stem}/{id}"), number)?;
        if self.is_graph() {
            url.query_pairs_mut().append_pair("phone_number_id", number);
        }
        Ok(url)
    }

    /// Where to ask about the token; else why one can't, in words.
    pub(super) fn debug_token(&self) -> Result<Url, &'static str> {
        let token = self.bearer().ok_or("only a token that goes out as a bearer's can be asked about")?;
        let mut url = self.node("debug_token", "", &[])?;
        url.query_pairs_mut().append_pair("input_token", token);
        Ok(url)
    }

    /// A node of Graph's, such as a number or an account, an edge of it (`/settings`, or nothing), and
    /// the fields that are wanted; else why there is none, in words.
    pub(super) fn node(&self, id: &str, edge: &str, fields: &[&str]) -> Result<Url, &'static str> {
        if !self.is_graph() {
            return Err("the endpoint's path isn't Graph's: only Meta itself can be asked this");
        }
        if !is_plain(id) {
            return Err("the id can't stand in a URL");
        }
        let mut url = self.behind(&format!("/{id}{edge}"))?;
        if !fields.is_empty() {
            url.query_pairs_mut().append_pair("fields", &fields.join(","));
        }
        Ok(url)
    }

    /// Puts the credential on a request. Only for one that goes where the credential may.
    pub(super) fn sign(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.credential {
            Some((name, value)) => request.header(name, value),
            None => request,
        }
    }

    /// An answer without the token, which Graph repeats where it finds fault with it.
    pub(super) fn without_token(&self, body: Vec<u8>) -> Vec<u8> {
        let Some(token) = self.token.as_deref() else { return body };
        if !body.windows(token.len()).any(|part| part == token.as_bytes()) {
            return body;
        }
        String::from_utf8_lossy(&body).replace(token, NO_TOKEN).into_bytes()
    }

    /// The token, where the endpoint takes it as Meta does.
    fn bearer(&self) -> Option<&str> {
        self.token.as_deref().filter(|_| self.as_bearer)
    }

    fn place(&self, path: &str, number: &str) -> Result<Url, &'static str> {
        if !is_plain(number) {
            return Err("the phone_number_id can't stand in a URL");
        }
        self.behind(&path.replace(NUMBER, number))
    }

    fn behind(&self, path: &str) -> Result<Url, &'static str> {
        let base = self.url.as_str().trim_end_matches('/');
        Url::parse(&format!("{base}{path}")).map_err(|_| "url and path of the endpoint make no URL")
    }
}

/// Whether an id stays one segment of a path.
fn is_plain(id: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    !id.is_empty() && id.bytes().all(plain)
}

impl fmt::Debug for GraphEndpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("GraphEndpoint").field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = GRAPH_PATH;

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
    fn a_file_has_a_place_and_only_graph_has_nodes() {
        for (base, path, file, graph) in [
            ("https://graph.facebook.com/v24.0", PATH, "/v24.0/5?phone_number_id=77", true),
            ("https://waba-v2.360dialog.io", "/messages", "/5", false),
            ("http://127.0.0.1:9000/x/", "/a/{phone_number_id}/messages", "/x/a/5", false),
        ] {
            let endpoint = GraphEndpoint::new("meta", base, None, Some("t"), path).unwrap();
            let url = endpoint.file("5", "77").unwrap();
            assert!(url.as_str().ends_with(file), "{url}");
            assert!(endpoint.file("5/6", "77").is_err() && endpoint.file("5", "").is_err());
            let node = endpoint.node("77", "", &["health_status"]);
            let words = "/v24.0/77?fields=health_status";
            assert_eq!(node.is_ok_and(|url| url.as_str().ends_with(words)), graph, "{base}");
            assert_eq!(endpoint.has_token_info(), graph, "{base}");
        }
        let meta = GraphEndpoint::new("meta", "https://a.example", None, None, PATH).unwrap();
        assert_eq!(meta.node("77", "/settings", &[]).unwrap().as_str(), "https://a.example/77/settings");
        assert!(meta.node("..", "", &[]).is_err() && meta.file("..", "77").is_err());
    }

    #[test]
    fn an_answer_that_repeats_the_token_loses_it() {
        let of = |token| GraphEndpoint::new("meta", "https://a.example", None, token, PATH).unwrap();
        let body = b"Malformed access token s3cret, s3cret".to_vec();
        let clean = of(Some("s3cret")).without_token(body.clone());
        assert_eq!(clean, b"Malformed access token (the token), (the token)");
        for token in [None, Some(""), Some("another")] {
            assert_eq!(of(token).without_token(body.clone()), body);
        }
    }

    #[test]
    fn a_token_goes_where_it_belongs_and_is_printed_nowhere() {
        let meta =
            GraphEndpoint::new("meta", "https://a.example/v24.0", None, Some("s3cret&"), PATH).unwrap();
        let (name, value) = meta.credential.as_ref().unwrap();
        assert_eq!((name.as_str(), value.as_bytes()), ("authorization", "Bearer s3cret&".as_bytes()));
        let url = meta.debug_token().unwrap();
        assert_eq!(url.as_str(), "https://a.example/v24.0/debug_token?input_token=s3cret%26");
        let dialog = "https://waba-v2.360dialog.io";
        let backup =
            GraphEndpoint::new("backup", dialog, Some("D360-API-KEY"), Some("s3cret"), "/messages").unwrap();
        let (name, value) = backup.credential.as_ref().unwrap();
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
