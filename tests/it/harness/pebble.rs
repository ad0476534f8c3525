//! A certificate authority: Debian's `pebble`, with `pebble-challtestsrv` as the DNS that it goes by.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustix::process::{Pid, Signal, kill_process};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use serde_json::json;
use tempfile::TempDir;
use tokio_rustls::TlsAcceptor;

use super::{Advisor, Site, port, skip, within};

/// A process that ends with the test.
struct Process(Child);

impl Process {
    fn start(program: &str, arguments: &[&str], environment: &[(&str, &str)], log: &Path) -> Self {
        let log = File::options().create(true).append(true).open(log).unwrap();
        let mut command = Command::new(program);
        command.args(arguments).envs(environment.iter().copied()).stdin(Stdio::null());
        Self(command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap())
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.0.id().cast_signed()).unwrap(), signal).unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have left already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The authority of one site.
pub(crate) struct Pebble {
    folder: TempDir,
    /// Where it is called.
    port: u16,
    /// Where it listens itself.
    own_port: u16,
    management: u16,
    names: Process,
    names_management: u16,
    names_port: u16,
    http_port: u16,
    tls_port: u16,
    pebble: Option<Process>,
    pub(crate) environment: Vec<(&'static str, &'static str)>,
    /// Names that it gives nothing for.
    pub(crate) blocked: Vec<&'static str>,
    /// How long its certificates live, in seconds.
    pub(crate) validity: u64,
}

impl Pebble {
    /// An authority that looks for names at the ports of `site`, not running yet. Without the package the test is
    /// skipped.
    pub(crate) async fn of(site: &Site, http_port: u16, test: &str) -> Option<Self> {
        let installed = |name: &str| Path::new("/usr/bin").join(name).exists();
        if !installed("pebble") || !installed("pebble-challtestsrv") {
            skip(test, "the package `pebble` is not installed");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        certificate(folder.path());
        let (names_port, names_management) = (port(), port());
        let at = |port: u16| format!("127.0.0.1:{port}");
        let names = Process::start(
            "pebble-challtestsrv",
            &[
                "-dns01",
                &at(names_port),
                "-management",
                &at(names_management),
                "-defaultIPv6",
                "",
                "-http01",
                "",
                "-https01",
                "",
                "-tlsalpn01",
                "",
            ],
            &[],
            &folder.path().join("names.log"),
        );
        let called = port();
        let pebble = Self {
            folder,
            port: called,
            own_port: called,
            management: port(),
            names,
            names_management,
            names_port,
            http_port,
            tls_port: site.webhook_port,
            pebble: None,
            environment: vec![
                ("PEBBLE_VA_NOSLEEP", "1"),
                ("PEBBLE_WFE_NONCEREJECT", "0"),
                ("PEBBLE_AUTHZREUSE", "0"),
            ],
            blocked: Vec::new(),
            validity: 90 * 24 * 3_600,
        };
        within(Duration::from_secs(20), "the names can be asked for", async || {
            std::net::TcpStream::connect(("127.0.0.1", names_management)).ok()
        })
        .await;
        Some(pebble)
    }

    /// `[webhook.tls]` for it.
    pub(crate) fn tls(&self, domains: &[&str], more: &str) -> String {
        let ca = self.folder.path().join("root.pem");
        format!(
            "acme = {{ domains = {domains:?}, contact = \"mailto:it@example.com\", directory = \"{}\", ca = {ca:?}{more} }}",
            self.directory()
        )
    }

    fn directory(&self) -> String {
        format!("https://127.0.0.1:{}/dir", self.port)
    }

    /// Starts it; all that it knew before is forgotten, its own roots included.
    pub(crate) async fn start(&mut self) {
        let file = |name: &str| self.folder.path().join(name).to_str().unwrap().to_owned();
        let config = json!({ "pebble": {
            "listenAddress": format!("127.0.0.1:{}", self.own_port),
            "managementListenAddress": format!("127.0.0.1:{}", self.management),
            "certificate": file("cert.pem"), "privateKey": file("key.pem"),
            "httpPort": self.http_port, "tlsPort": self.tls_port,
            "ocspResponderURL": "", "externalAccountBindingRequired": false,
            "domainBlocklist": self.blocked, "certificateValidityPeriod": self.validity,
        }});
        fs::write(file("config.json"), config.to_string()).unwrap();
        let names = format!("127.0.0.1:{}", self.names_port);
        let arguments = ["-config", &file("config.json"), "-dnsserver", &names];
        self.pebble = Some(Process::start("pebble", &arguments, &self.environment, &self.log()));
        within(Duration::from_secs(20), "the authority listens", async || {
            let listens = |port| std::net::TcpStream::connect(("127.0.0.1", port)).is_ok();
            (listens(self.own_port) && listens(self.management)).then_some(())
        })
        .await;
    }

    pub(crate) fn stop(&mut self) {
        self.pebble = None;
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("pebble.log")
    }

    /// How many orders it has taken, over all its starts.
    pub(crate) fn orders(&self) -> usize {
        let log = fs::read_to_string(self.log()).unwrap_or_default();
        log.lines().filter(|line| line.contains("Added order ")).count()
    }

    /// Has every name lead to this address from now on.
    pub(crate) async fn let_names_lead_to(&self, address: &str) {
        let url = format!("http://127.0.0.1:{}/set-default-ipv4", self.names_management);
        let body = json!({ "ip": address }).to_string();
        let answer = plain().post(url).body(body).send().await.unwrap();
        assert_eq!(answer.status(), 200);
    }

    /// Stops answering for names, or goes on with those that were asked for meanwhile.
    pub(crate) fn hold_names(&self, hold: bool) {
        self.names.signal(if hold { Signal::STOP } else { Signal::CONT });
    }

    /// A client that trusts the certificates it gives, and finds `name` at the site's public listener.
    pub(crate) async fn client(&self, site: &Site, name: &str) -> reqwest::Client {
        let url = format!("https://127.0.0.1:{}/roots/0", self.management);
        let root = plain().get(url).send().await.unwrap().bytes().await.unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(&root).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let address = ([127, 0, 0, 1], site.webhook_port).into();
        let client =
            reqwest::Client::builder().tls_backend_preconfigured(tls).resolve(name, address).no_proxy();
        client.build().unwrap()
    }

    /// Has all calls come to an advisor first; before its first start.
    pub(crate) async fn advisor(&mut self) -> Advisor {
        let file = |name: &str| self.folder.path().join(name);
        let chain = CertificateDer::pem_file_iter(file("cert.pem")).unwrap().map(Result::unwrap).collect();
        let key = PrivateKeyDer::from_pem_file(file("key.pem")).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        self.own_port = port();
        Advisor::start(self.port, self.own_port, TlsAcceptor::from(Arc::new(config))).await
    }
}

/// A client that believes everybody.
pub(crate) fn plain() -> reqwest::Client {
    reqwest::Client::builder().tls_backend_preconfigured(super::accept_any()).no_proxy().build().unwrap()
}

/// What the authority's own server shows, and the root that vouches for it.
fn certificate(folder: &Path) {
    let mut above = CertificateParams::new(Vec::new()).unwrap();
    above.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    above.distinguished_name.push(DnType::CommonName, "the authority's own root");
    let (root_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    fs::write(folder.join("root.pem"), above.self_signed(&root_key).unwrap().pem()).unwrap();
    let own = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let own = own.signed_by(&key, &Issuer::new(above, root_key)).unwrap();
    fs::write(folder.join("cert.pem"), own.pem()).unwrap();
    fs::write(folder.join("key.pem"), key.serialize_pem()).unwrap();
}
