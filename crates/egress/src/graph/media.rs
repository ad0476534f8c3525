//! Where a file that a customer sent can be fetched, and from whom. Pure.

use std::fmt;

use reqwest::Url;
use serde_json::Value;

use super::answer::id;
use super::endpoint::GraphEndpoint;
use super::refusal::words;

/// A URL of a file is kept up to this length; those of today have some 200 bytes.
const URL_BYTES_MAX: usize = 4_096;
/// Meta's hosts for files, and those below them. Its page names none; these were seen, or are Meta's own.
const META_HOSTS: [&str; 4] = ["fbsbx.com", "fbcdn.net", "facebook.com", "whatsapp.net"];

/// Where a file can be fetched, for 5 minutes. Its URL is printed nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct MediaPlace {
    /// As Graph gives it; it needs the token.
    pub url: String,
    /// What the file is; `None` where Graph doesn't say.
    pub mime_type: Option<String>,
    /// Its SHA-256 as Graph writes it, in hexadecimal digits here and in base64 in webhooks; `None`
    /// where Graph doesn't say.
    pub sha256: Option<String>,
    /// Its length in bytes; `None` where Graph doesn't say.
    pub file_size: Option<u64>,
}

impl MediaPlace {
    /// Reads `{url, mime_type, sha256, file_size, id}`; the size may be text.
    pub(super) fn read(answer: &Value) -> Option<Self> {
        let url = answer.get("url")?.as_str()?;
        let fits = (1..=URL_BYTES_MAX).contains(&url.len()) && url.bytes().all(|b| b.is_ascii_graphic());
        let size = |size: &Value| size.as_u64().or_else(|| size.as_str()?.trim().parse().ok());
        fits.then(|| Self {
            url: url.to_owned(),
            mime_type: answer.get("mime_type").and_then(words),
            sha256: answer.get("sha256").and_then(id),
            file_size: answer.get("file_size").and_then(size),
        })
    }
}

impl fmt::Debug for MediaPlace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("MediaPlace");
        shown.field("mime_type", &self.mime_type).field("file_size", &self.file_size);
        shown.finish_non_exhaustive()
    }
}

/// Where the token may go for a file: to the endpoint itself and, from Graph's own, to Meta's hosts; of
/// a provider the path is kept and the rest is the endpoint's. Else why nowhere, in words.
///
/// Nothing else is asked, not even without the token: a URL from outside must not lead into the store's
/// network.
pub(super) fn way(endpoint: &GraphEndpoint, url: &str) -> Result<Url, &'static str> {
    let own = endpoint.url();
    let mut url = Url::parse(url).map_err(|_| "the file's URL is none")?;
    if !matches!(url.scheme(), "http" | "https") || !url.username().is_empty() || url.password().is_some() {
        return Err("the file's URL is none that is fetched");
    }
    url.set_fragment(None);
    if !endpoint.is_graph() {
        let mut way = own.clone();
        way.set_path(url.path());
        way.set_query(url.query());
        return Ok(way);
    }
    if url.origin() == own.origin() || is_metas(&url) {
        return Ok(url);
    }
    Err("the file's host is none of Meta's: the token doesn't go there")
}

fn is_metas(url: &Url) -> bool {
    let of = |host: &str| {
        let below = |domain| host.strip_suffix(domain).is_some_and(|rest: &str| rest.ends_with('.'));
        META_HOSTS.iter().any(|domain| host == *domain || below(*domain))
    };
    url.scheme() == "https" && url.port().is_none() && url.host_str().is_some_and(of)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = "/{phone_number_id}/messages";

    #[test]
    fn the_token_of_graph_goes_to_meta_and_to_the_endpoint_alone() {
        let meta =
            GraphEndpoint::new("meta", "https://graph.example:8443/v24.0", None, Some("t"), PATH).unwrap();
        for url in [
            "https://lookaside.fbsbx.com/whatsapp_business/attachments/?mid=1&ext=2&hash=ATt",
            "https://fbsbx.com/a",
            "https://LOOKASIDE.FBSBX.COM/a",
            "https://scontent.xx.fbcdn.net/v/t1",
            "https://graph.facebook.com/a",
            "https://mmg.whatsapp.net/a",
            "https://lookaside.fbsbx.com:443/a",
            "https://graph.example:8443/files/1?a=b",
        ] {
            assert_eq!(way(&meta, url), Ok(Url::parse(url).unwrap()), "{url}");
        }
        for url in [
            "http://lookaside.fbsbx.com/a",
            "https://lookaside.fbsbx.com:8443/a",
            "https://lookaside.fbsbx.com./a",
            "https://fbsbx.com.evil.example/a",
            "https://notfbsbx.com/a",
            "https://evil.example/fbsbx.com",
            "https://evil.example/?a=.fbsbx.com",
            "https://lookaside.fbsbx.com@evil.example/a",
            "https://me:pw@lookaside.fbsbx.com/a",
            "https://127.0.0.1/a",
            "https://[::1]/a",
            "https://graph.example/a",
            "http://graph.example:8443/a",
            "ftp://fbsbx.com/a",
            "file:///etc/passwd",
            "//lookaside.fbsbx.com/a",
            "nonsense",
            "",
        ] {
            assert!(way(&meta, url).is_err(), "{url}");
        }
    }

    #[test]
    fn of_a_provider_the_host_is_its_own_whatever_the_url_says() {
        for (base, url, expected) in [
            (
                "https://waba-v2.360dialog.io",
                "https://lookaside.fbsbx.com/whatsapp_business/attachments/?mid=1%2F2&ext=3",
                "https://waba-v2.360dialog.io/whatsapp_business/attachments/?mid=1%2F2&ext=3",
            ),
            ("http://127.0.0.1:9000/base/", "https://evil.example/a%20b#c", "http://127.0.0.1:9000/a%20b"),
            ("https://a.example", "http://10.0.0.1:22/", "https://a.example/"),
        ] {
            let backup =
                GraphEndpoint::new("backup", base, Some("D360-API-KEY"), Some("t"), "/messages").unwrap();
            assert_eq!(way(&backup, url).unwrap().as_str(), expected);
            assert!(way(&backup, "https://me@a.example/").is_err() && way(&backup, "data:x").is_err());
        }
    }

    #[test]
    fn a_place_is_read_whatever_its_size_is_written_as_and_prints_no_url() {
        let read = |text: &str| MediaPlace::read(&serde_json::from_str(text).unwrap());
        for size in ["303833", "\"303833\"", "\" 303833 \""] {
            let place = read(&format!(
                r#"{{"url":"https://a.example/s3cret","mime_type":"image/jpeg","sha256":"ab12",
                    "file_size":{size},"id":"1","messaging_product":"whatsapp"}}"#
            ));
            let place = place.unwrap();
            assert_eq!((place.file_size, place.mime_type.as_deref()), (Some(303_833), Some("image/jpeg")));
            assert_eq!(place.sha256.as_deref(), Some("ab12"));
            assert!(!format!("{place:?}").contains("s3cret"));
        }
        let least = read(r#"{"url":"https://a.example/1","file_size":-1,"sha256":""}"#).unwrap();
        assert_eq!((least.file_size, least.mime_type, least.sha256), (None, None, None));
        let long = format!(r#"{{"url":"{}"}}"#, "x".repeat(5_000));
        for body in ["{}", "[]", r#"{"url":7}"#, r#"{"url":""}"#, r#"{"url":"https://a b"}"#, &long] {
            assert_eq!(read(body), None, "{body}");
        }
    }
}
