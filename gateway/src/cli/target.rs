//! Where the running gateway is, for the operator's commands.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use anyhow::{Context, anyhow};
use reqwest::Url;

use super::ApiArgs;
use crate::config::{self, Secret, accepted};

/// A running gateway's API.
#[derive(Debug, Clone)]
pub struct Target {
    /// Its address, without a path.
    pub url: Url,
    /// What it wants to be shown.
    pub token: Secret,
}

impl ApiArgs {
    /// Finds the gateway: what the command line doesn't say is in the configuration. Where the
    /// file is refused that's the kept one, since the gateway runs with that as well.
    ///
    /// # Errors
    /// When the configuration is refused and needed, or the token file can't be read.
    pub fn target(&self) -> anyhow::Result<Target> {
        let token = match &self.token_file {
            Some(path) => Some(Secret::read_file(path).map_err(|reason| anyhow!("--token-file: {reason}"))?),
            None => None,
        };
        if let (Some(url), Some(token)) = (&self.url, &token) {
            return Ok(Target { url: url.clone(), token: token.clone() });
        }
        let api = accepted::start(&self.config, &config::system_env)
            .context("the gateway's address and token are looked for in its configuration; or give --url and --token-file")?
            .loaded
            .config
            .api;
        let url = match &self.url {
            Some(url) => url.clone(),
            None => reachable(api.listen)?,
        };
        Ok(Target { url, token: token.unwrap_or(api.token) })
    }
}

/// The address by which a listener on this machine is reached.
///
/// # Errors
/// When it has port 0.
pub(super) fn reachable(listen: SocketAddr) -> anyhow::Result<Url> {
    let address = from_here(listen)
        .ok_or_else(|| anyhow!("`api.listen` has port 0, which is another one at each start: give --url"))?;
    Ok(Url::parse(&format!("http://{address}/"))?)
}

/// Where a listener on this machine is connected to; `None` for port 0.
pub(super) fn from_here(listen: SocketAddr) -> Option<SocketAddr> {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip @ (IpAddr::V4(_) | IpAddr::V6(_)) => ip,
    };
    (listen.port() != 0).then(|| SocketAddr::new(ip, listen.port()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_is_reached_by_loopback() {
        for (listen, url) in [
            ("127.0.0.1:8080", Some("http://127.0.0.1:8080/")),
            ("192.168.1.9:8080", Some("http://192.168.1.9:8080/")),
            ("0.0.0.0:8080", Some("http://127.0.0.1:8080/")),
            ("[::]:8080", Some("http://[::1]:8080/")),
            ("127.0.0.1:0", None),
        ] {
            let found = reachable(listen.parse().unwrap()).ok();
            assert_eq!(found.as_ref().map(Url::as_str), url, "{listen}");
        }
    }

    #[test]
    fn the_command_line_wins_over_the_configuration() {
        let folder = tempfile::tempdir().unwrap();
        let (config, token_file) = (folder.path().join("wagate.toml"), folder.path().join("token"));
        let text = "[webhook]\nverify_token = \"x\"\napp_secret = \"x\"\ntls.self_signed = true\n[api]\ntoken = \"inline\"\n";
        std::fs::write(&config, text).unwrap();
        std::fs::write(&token_file, "from-file\n").unwrap();
        let url = Url::parse("http://box.store.lan:8080/").ok();
        for (url, token_file, expected) in [
            (None, None, ("http://127.0.0.1:8080/", "inline")),
            (url.clone(), None, ("http://box.store.lan:8080/", "inline")),
            (None, Some(token_file.clone()), ("http://127.0.0.1:8080/", "from-file")),
            (url, Some(token_file), ("http://box.store.lan:8080/", "from-file")),
        ] {
            let args = ApiArgs { config: config.clone(), url, token_file, json: false };
            let target = args.target().unwrap();
            assert_eq!((target.url.as_str(), target.token.expose()), expected);
        }
    }

    #[test]
    fn with_address_and_token_no_configuration_is_needed() {
        let folder = tempfile::tempdir().unwrap();
        let token = folder.path().join("token");
        std::fs::write(&token, "t").unwrap();
        let config = folder.path().join("nowhere.toml");
        let url = Url::parse("http://127.0.0.1:1").ok();
        let args = ApiArgs { config: config.clone(), url, token_file: Some(token), json: false };
        assert!(args.target().is_ok());
        let args = ApiArgs { config, url: None, token_file: None, json: false };
        let error = args.target().unwrap_err();
        assert!(error.downcast_ref::<config::Problems>().is_some(), "it ends with exit status 2");
    }
}
