//! The temporary folder: a configuration as a store would have it, and the store itself.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use ring::rand::{SecureRandom, SystemRandom};

/// Where a folder is tried when nobody names one by `TMPDIR`. What lies in the first is on a disk,
/// also where `/tmp` is in memory.
const PARENTS: [&str; 2] = ["/var/tmp", "/tmp"];
/// How often removing it is tried.
const REMOVALS_MAX: u32 = 5;
/// The configuration's name in it.
const CONFIG: &str = "wagate.toml";

/// A folder of the demo's own, with random secrets; it goes with everything in it when dropped.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    pub(super) verify_token: String,
    pub(super) app_secret: String,
    pub(super) api_token: String,
    pub(super) signing_secret: String,
    pub(super) graph_token: String,
}

/// What the configuration says about the world around the gateway.
#[derive(Debug)]
pub(super) struct Around<'a> {
    pub(super) webhook: SocketAddr,
    pub(super) api: SocketAddr,
    pub(super) crm: &'a str,
    /// The simulated WhatsApp's API.
    pub(super) whatsapp: &'a str,
    pub(super) phone_number_id: &'a str,
    /// Its digits.
    pub(super) phone: &'a str,
}

impl Folder {
    /// Makes the folder, for nobody else's eyes.
    ///
    /// # Errors
    /// When none can be made anywhere.
    pub(super) fn create() -> anyhow::Result<Self> {
        let [name, verify_token, app_secret, api_token, signing_secret, graph_token] = random_words()?;
        let name = format!("wagate-demo-{}", &name[..8]);
        let path = match std::env::var_os("TMPDIR").filter(|named| !named.is_empty()) {
            Some(named) => make(&std::path::absolute(named)?.join(&name))?,
            None => PARENTS
                .iter()
                .find_map(|parent| make(&Path::new(parent).join(&name)).ok())
                .map_or_else(|| make(&std::env::temp_dir().join(&name)), Ok)?,
        };
        Ok(Self { path, verify_token, app_secret, api_token, signing_secret, graph_token })
    }

    pub(super) fn config(&self) -> PathBuf {
        self.path.join(CONFIG)
    }

    /// Writes the secrets and the configuration.
    ///
    /// # Errors
    /// When they can't be written.
    pub(super) fn write(&self, around: &Around<'_>) -> anyhow::Result<()> {
        for (name, content) in [
            ("verify_token", &self.verify_token),
            ("app_secret", &self.app_secret),
            ("api_token", &self.api_token),
            ("crm_secret", &self.signing_secret),
            ("graph_token", &self.graph_token),
            (CONFIG, &configuration(around)),
        ] {
            self.file(name, content).with_context(|| format!("can't write {name} for the demo"))?;
        }
        Ok(())
    }

    fn file(&self, name: &str, content: &str) -> io::Result<()> {
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(self.path.join(name))?.write_all(content.as_bytes())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Again where the store was still writing: a second Ctrl-C doesn't wait for it. After that
        // nobody can do anything about it here; what is left lies where temporary things lie.
        let _ = (0..REMOVALS_MAX).find(|_| std::fs::remove_dir_all(&self.path).is_ok());
    }
}

fn make(path: &Path) -> anyhow::Result<PathBuf> {
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).with_context(|| {
        format!("can't make {} for the demo (TMPDIR names another place)", path.display())
    })?;
    Ok(path.to_owned())
}

/// 128 bits each, in hexadecimal digits.
fn random_words<const N: usize>() -> anyhow::Result<[String; N]> {
    let random = SystemRandom::new();
    let mut words = [const { String::new() }; N];
    for word in &mut words {
        let mut bytes = [0; 16];
        random.fill(&mut bytes).map_err(|_| anyhow!("this system gives out no random numbers"))?;
        *word = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    }
    Ok(words)
}

fn configuration(around: &Around<'_>) -> String {
    let Around { webhook, api, crm, whatsapp, phone_number_id, phone } = around;
    format!(
        r#"# What `wagate demo` runs with; it goes with this folder when the demo ends.
[store]
path = "store"
max_size = "256MiB"

[webhook]
listen = "{webhook}"
verify_token = "file:verify_token"
app_secret = "file:app_secret"
[webhook.tls]
self_signed = true

[api]
listen = "{api}"
token = "file:api_token"

[[numbers]]
phone_number_id = "{phone_number_id}"
phone = "+{phone}"
[numbers.limits]
# A demo may go on for days.
messages_per_day = 1000000
api_calls_per_day = 1000000

[[whatsapp.endpoints]]
name = "demo"
url = "{whatsapp}"
token = "file:graph_token"

[crm]
signing_secret = "file:crm_secret"
[[crm.endpoints]]
name = "demo"
url = "{crm}"
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::demo::stage::PHONE;

    fn around() -> Around<'static> {
        Around {
            webhook: "127.0.0.1:8443".parse().unwrap(),
            api: "127.0.0.1:8080".parse().unwrap(),
            crm: "http://127.0.0.1:9000/wagate",
            whatsapp: "http://127.0.0.1:9001/v24.0",
            phone_number_id: "106540352242922",
            phone: PHONE,
        }
    }

    #[test]
    fn the_configuration_has_neither_mistakes_nor_warnings() {
        let folder = Folder::create().unwrap();
        folder.write(&around()).unwrap();
        let loaded = config::load(&folder.config(), &|_| None).unwrap();
        assert_eq!(loaded.warnings.list.len(), 0, "{}", loaded.warnings);
        assert!(loaded.not_yet().is_empty());
        assert_eq!(loaded.config.webhook.app_secret[0].expose(), folder.app_secret);
        assert_eq!(loaded.config.store.path, folder.path.join("store"));
    }

    #[test]
    fn nothing_is_left_behind_and_no_two_are_alike() {
        let (one, two) = (Folder::create().unwrap(), Folder::create().unwrap());
        assert_ne!((&one.path, &one.app_secret), (&two.path, &two.app_secret));
        one.write(&around()).unwrap();
        let path = one.path.clone();
        assert!(path.is_dir());
        drop(one);
        assert!(!path.exists());
    }
}
