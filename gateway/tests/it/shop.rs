//! A folder with the secrets of a store, as its IT staff would leave it.

use std::path::{Path, PathBuf};

use tempfile::TempDir;
use wagate::config::{Loaded, Problems, Source, parse};

/// Nothing that is shown may ever hold this.
pub(crate) const CANARY: &str = "hunter2";

pub(crate) struct Shop {
    folder: TempDir,
}

impl Shop {
    pub(crate) fn new() -> Self {
        let shop = Self { folder: tempfile::tempdir().unwrap() };
        for name in ["verify_token", "app_secret", "api_token", "graph_token", "bsp_token", "crm_secret"] {
            shop.secret(name, &format!("secret-of-{name}\n"), 0o600);
        }
        shop.secret("cert.pem", "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n", 0o600);
        shop.secret("key.pem", "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n", 0o600);
        shop
    }

    pub(crate) fn secret(&self, name: &str, content: &str, mode: u32) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let path = self.path().join(name);
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Reads a configuration that lies in this folder and is called `wagate.toml` in messages.
    pub(crate) fn parse(&self, text: &str) -> Result<Loaded, Problems> {
        self.parse_with(text, &|_| None)
    }

    pub(crate) fn parse_with(
        &self,
        text: &str,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Loaded, Problems> {
        let source = Source {
            file: PathBuf::from("wagate.toml"),
            base: self.path().to_owned(),
            text: text.to_owned(),
            form: wagate::config::keys::Form::Configuration,
        };
        parse(source, env)
    }

    /// The same, as `check` would show it: mistakes, or the warnings of one that is accepted.
    pub(crate) fn report(&self, text: &str) -> Problems {
        self.parse(text).map_or_else(|problems| problems, |loaded| loaded.warnings)
    }
}
