//! Where the running gateway is, for the operator's commands.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use anyhow::{Context as _, anyhow};
use reqwest::Url;

use super::ApiArgs;
use crate::app;
use crate::config::{self, ApiTls, Config, Secret, accepted};

/// A running gateway's API.
#[derive(Debug, Clone)]
pub struct Target {
    /// Its address, without a path.
    pub url: Url,
    /// What it wants to be shown.
    pub token: Secret,
    /// The file with the one certificate that it may have; `None`: one that the world takes.
    pub certificate: Option<PathBuf>,
    /// The file with certificate and key to show to it.
    pub client_certificate: Option<PathBuf>,
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
        let (certificate, client_certificate) = (self.certificate.clone(), self.client_certificate.clone());
        if let (Some(url), Some(token)) = (&self.url, &token) {
            let (url, token) = (url.clone(), token.clone());
            return Ok(Target { url, token, certificate, client_certificate });
        }
        let config = accepted::start(&self.config, &config::system_env)
            .context("the gateway's address and token are looked for in its configuration; or give --url and --token-file")?
            .loaded
            .config;
        let here = if let Some(url) = &self.url {
            // What is asked elsewhere has another certificate.
            Target { url: url.clone(), certificate: None, client_certificate: None, token: first(&config)? }
        } else {
            Target::here(&config)?
        };
        Ok(Target {
            token: token.unwrap_or(here.token),
            certificate: certificate.or(here.certificate),
            client_certificate: client_certificate.or(here.client_certificate),
            ..here
        })
    }
}

impl Target {
    /// The gateway on this machine that runs with `config`.
    ///
    /// # Errors
    /// When `api.listen` has port 0.
    pub(super) fn here(config: &Config) -> anyhow::Result<Self> {
        let (scheme, certificate) = match &config.api.tls {
            ApiTls::Off => ("http", None),
            ApiTls::SelfSigned { .. } => {
                ("https", Some(app::api_tls_folder(&config.store.path).join(ingress::SELF_SIGNED_FILE)))
            }
            ApiTls::Files { certificate, .. } => ("https", Some(certificate.clone())),
        };
        let address = from_here(config.api.listen).ok_or_else(|| {
            anyhow!("`api.listen` has port 0, which is another one at each start: give --url")
        })?;
        Ok(Self {
            url: Url::parse(&format!("{scheme}://{address}/"))?,
            token: first(config)?,
            certificate,
            client_certificate: config.api.client_auth.operator.clone(),
        })
    }
}

/// The first of the tokens: the one that stays, where one replaces the other.
fn first(config: &Config) -> anyhow::Result<Secret> {
    config.api.token.first().cloned().context("there is no API token")
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
        for (listen, address) in [
            ("127.0.0.1:8080", Some("127.0.0.1:8080")),
            ("192.168.1.9:8080", Some("192.168.1.9:8080")),
            ("0.0.0.0:8080", Some("127.0.0.1:8080")),
            ("[::]:8080", Some("[::1]:8080")),
            ("127.0.0.1:0", None),
        ] {
            let found = from_here(listen.parse().unwrap()).map(|found| found.to_string());
            assert_eq!(found.as_deref(), address, "{listen}");
        }
    }

    const CONFIG: &str = "[webhook]\nverify_token = \"x\"\napp_secret = \"x\"\ntls.self_signed = true\n[store]\npath = \"store\"\n[api]\ntoken = [\"inline\", \"old\"]\n";

    fn args(config: &std::path::Path, url: Option<Url>, token_file: Option<PathBuf>) -> ApiArgs {
        ApiArgs {
            config: config.to_owned(),
            url,
            token_file,
            certificate: None,
            client_certificate: None,
            json: false,
        }
    }

    #[test]
    fn with_tls_the_certificate_is_the_gateways_own_unless_another_is_asked() {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("wagate.toml");
        std::fs::write(&config, format!("{CONFIG}tls.self_signed = true\n")).unwrap();
        let here = args(&config, None, None).target().unwrap();
        assert_eq!(here.url.as_str(), "https://127.0.0.1:8080/");
        assert_eq!(here.certificate, Some(folder.path().join("store/tls/api/self_signed.pem")));
        let url = Url::parse("https://box.store.lan:8080/").ok();
        assert_eq!(args(&config, url.clone(), None).target().unwrap().certificate, None);
        let named = ApiArgs { certificate: Some("box.pem".into()), ..args(&config, url, None) };
        assert_eq!(named.target().unwrap().certificate, Some("box.pem".into()));
    }

    #[test]
    fn the_command_line_wins_over_the_configuration() {
        let folder = tempfile::tempdir().unwrap();
        let (config, token_file) = (folder.path().join("wagate.toml"), folder.path().join("token"));
        std::fs::write(&config, CONFIG).unwrap();
        std::fs::write(&token_file, "from-file\n").unwrap();
        let url = Url::parse("http://box.store.lan:8080/").ok();
        for (url, token_file, expected) in [
            (None, None, ("http://127.0.0.1:8080/", "inline")),
            (url.clone(), None, ("http://box.store.lan:8080/", "inline")),
            (None, Some(token_file.clone()), ("http://127.0.0.1:8080/", "from-file")),
            (url, Some(token_file), ("http://box.store.lan:8080/", "from-file")),
        ] {
            let target = args(&config, url, token_file).target().unwrap();
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
        assert!(args(&config, url, Some(token)).target().is_ok());
        let error = args(&config, None, None).target().unwrap_err();
        assert!(error.downcast_ref::<config::Problems>().is_some(), "it ends with exit status 2");
    }
}
