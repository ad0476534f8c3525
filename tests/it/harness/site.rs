//! A site: a folder with configuration, secrets and store, that outlives the processes.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, Ordering};

use simulate::crm::Crm;
use tempfile::TempDir;

use super::{CRM_SECRET, whatsapp};

pub(crate) const API_TOKEN: &str = "0123456789abcdef0123456789abcdef";
pub(crate) const VERIFY_TOKEN: &str = "the words of the dashboard";

/// Everything that a box has on its disk, and how it is to be run.
pub(crate) struct Site {
    folder: TempDir,
    pub(crate) store: PathBuf,
    pub(crate) webhook_port: u16,
    pub(crate) api_port: u16,
    /// Lines for `[store]`, `[webhook]`, `[webhook.tls]` and `[crm]`.
    pub(crate) store_keys: String,
    pub(crate) webhook_keys: String,
    pub(crate) app_secret: String,
    pub(crate) api_token: String,
    /// Lines for `[api]`, its tables last.
    pub(crate) api_keys: String,
    pub(crate) tls: String,
    pub(crate) crm_keys: String,
    pub(crate) log_level: &'static str,
    /// Where records go; nowhere when they are only pulled.
    pub(crate) crm_url: Option<String>,
    /// The environment of the program.
    pub(crate) environment: Vec<(String, String)>,
    /// What the program is started by, its path and arguments following; nothing starts it as it is.
    pub(crate) starter: Vec<String>,
    /// The numbers of the store.
    pub(crate) numbers: Vec<(String, String)>,
    /// Lines for each of `[[numbers]]`, with `[numbers.limits]` as the last.
    pub(crate) number_keys: String,
    /// Further sections.
    pub(crate) more: String,
}

impl Site {
    /// A site that delivers to `crm`.
    pub(crate) fn new(crm: &Crm) -> Self {
        let mut site = Self::without_crm();
        site.crm_url = Some(crm.url());
        site
    }

    /// A site whose CRM pulls.
    pub(crate) fn without_crm() -> Self {
        let folder = tempfile::Builder::new().prefix("wagate-it-").tempdir().unwrap();
        let site = Self {
            store: folder.path().join("store"),
            webhook_port: port(),
            api_port: port(),
            store_keys: String::new(),
            webhook_keys: String::new(),
            app_secret: "\"file:app_secret\"".into(),
            api_token: "\"file:api_token\"".into(),
            api_keys: String::new(),
            tls: "self_signed = true".into(),
            crm_keys: String::new(),
            log_level: "info",
            crm_url: None,
            environment: Vec::new(),
            starter: Vec::new(),
            numbers: vec![("106540352242922".into(), "+15550783881".into())],
            number_keys: String::new(),
            more: String::new(),
            folder,
        };
        site.put("verify_token", VERIFY_TOKEN.as_bytes());
        site.put("app_secret", whatsapp::APP_SECRET.as_bytes());
        site.put("api_token", API_TOKEN.as_bytes());
        site.put("crm_secret", CRM_SECRET.as_bytes());
        site
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.path().join("wagate.toml")
    }

    /// The configuration's path as an argument.
    pub(crate) fn config_argument(&self) -> String {
        self.config().to_str().unwrap().to_owned()
    }

    /// Writes a file that only its owner may read, whole or not at all.
    pub(crate) fn put(&self, name: &str, content: &[u8]) {
        use std::os::unix::fs::PermissionsExt as _;
        let (path, new) = (self.path().join(name), self.path().join(format!("{name}.new")));
        std::fs::write(&new, content).unwrap();
        std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::rename(&new, &path).unwrap();
    }

    /// Writes the configuration as it is to be now.
    pub(crate) fn write_config(&self) {
        self.put("wagate.toml", self.text().as_bytes());
    }

    pub(crate) fn text(&self) -> String {
        let Self { store, webhook_port, api_port, store_keys, app_secret, tls, crm_keys, log_level, .. } =
            self;
        let Self { webhook_keys, number_keys, api_token, api_keys, .. } = self;
        let mut text = format!(
            r#"[store]
path = "{}"
{store_keys}
[webhook]
listen = "127.0.0.1:{webhook_port}"
verify_token = "file:verify_token"
app_secret = {app_secret}
{webhook_keys}
[webhook.tls]
{tls}
[api]
listen = "127.0.0.1:{api_port}"
token = {api_token}
{api_keys}
[log]
format = "json"
level = "{log_level}"
[crm]
signing_secret = "file:crm_secret"
{crm_keys}
"#,
            store.display()
        );
        if let Some(url) = &self.crm_url {
            text.push_str(&format!("[[crm.endpoints]]\nname = \"primary\"\nurl = \"{url}\"\n"));
        }
        for (id, phone) in &self.numbers {
            text.push_str(&format!(
                "[[numbers]]\nphone_number_id = \"{id}\"\nphone = \"{phone}\"\n{number_keys}\n"
            ));
        }
        text + &self.more
    }

    /// The base of the store side.
    pub(crate) fn api_url(&self) -> String {
        let scheme = if self.api_keys.contains("[api.tls]") { "https" } else { "http" };
        format!("{scheme}://127.0.0.1:{}", self.api_port)
    }

    pub(crate) fn webhook_url(&self) -> String {
        let scheme = if self.tls.starts_with("off") { "http" } else { "https" };
        format!("{scheme}://127.0.0.1:{}/webhook", self.webhook_port)
    }
}

/// A port below those that the system gives to connections, so that no connection takes it while
/// the program that listens there is dead.
pub(crate) fn port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    const FIRST: u16 = 14_000;
    const COUNT: u16 = 16_000;
    let offset = u16::try_from(std::process::id() * 97 % u32::from(COUNT)).unwrap();
    loop {
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = FIRST + (offset + next % COUNT) % COUNT;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}
