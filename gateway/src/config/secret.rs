//! Secrets: where the configuration says that they are, and what stands there.

use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::Env;

/// A secret file larger than this is no secret file.
const MAX_SECRET: u64 = 64 * 1024;
/// From where systemd loads the credentials of services that name no file (systemd.exec(5), `LoadCredential=`); a
/// command that is typed by hand, and so has none of its own, reads them there.
const CREDSTORE: &str = "/etc/credstore";

/// A secret that has been read: text, never empty. Prints nothing of itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes `text` as a secret.
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// Reads a secret that is written as in the configuration, `file:`, `env:`, `credential:` or
    /// itself; a relative file lies in `base`.
    ///
    /// # Errors
    /// With what is wrong, in words that don't hold the secret.
    pub fn find(text: &str, base: &Path, env: Env<'_>) -> Result<Self, String> {
        SecretSource::parse(text, base).read(env).map(|read| read.secret)
    }

    /// Reads a secret file.
    ///
    /// # Errors
    /// As [`Self::find`].
    pub fn read_file(path: &Path) -> Result<Self, String> {
        read_file(path, false).map(|read| read.secret)
    }

    /// The secret itself, for the one place that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Where a secret is kept.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum SecretSource {
    /// In a file of its own.
    File(PathBuf),
    /// In a variable of the environment.
    Env(String),
    /// In a systemd credential.
    Credential(String),
    /// In the configuration itself.
    Inline(Secret),
}

/// Whether a configuration value only says where a secret is, and so may be shown.
pub(super) fn is_reference(text: &str) -> bool {
    ["file:", "env:", "credential:"].iter().any(|scheme| text.starts_with(scheme))
}

/// What came of reading a secret.
pub(super) struct ReadSecret {
    pub(super) secret: Secret,
    /// What is wrong with it, though it can be used.
    pub(super) warnings: Vec<Doubt>,
}

/// Something about a usable secret that a person should know.
pub(super) struct Doubt {
    pub(super) message: String,
    pub(super) help: &'static str,
}

impl SecretSource {
    /// Reads the notation of the configuration; relative files are looked for in `base`.
    pub(super) fn parse(text: &str, base: &Path) -> Self {
        if let Some(path) = text.strip_prefix("file:") {
            Self::File(base.join(path))
        } else if let Some(name) = text.strip_prefix("env:") {
            Self::Env(name.to_owned())
        } else if let Some(name) = text.strip_prefix("credential:") {
            Self::Credential(name.to_owned())
        } else {
            Self::Inline(Secret::new(text.to_owned()))
        }
    }

    /// Fetches the secret.
    ///
    /// # Errors
    /// With what is wrong, in words that don't hold the secret.
    pub(super) fn read(&self, env: Env<'_>) -> Result<ReadSecret, String> {
        match self {
            Self::Inline(secret) => {
                let message = "the secret itself stands in the configuration".to_owned();
                let help = "put it into a file of its own and write \"file:...\", or \"env:...\", or \"credential:...\"";
                checked(secret.0.clone(), vec![Doubt { message, help }])
            }
            Self::Env(name) => match env(name) {
                Some(text) => checked(text, Vec::new()),
                None => Err(format!("the environment has no variable {name:?}")),
            },
            Self::Credential(name) => {
                if name.is_empty() || name.contains('/') || name.starts_with('.') {
                    return Err(format!("{name:?} is not the name of a credential"));
                }
                // systemd itself sees to who may read a credential.
                let Some(folder) = env("CREDENTIALS_DIRECTORY") else {
                    return read_file(&Path::new(CREDSTORE).join(name), false).map_err(|error| {
                        format!(
                            "{error} ($CREDENTIALS_DIRECTORY is not set: a service needs LoadCredential={name} in its unit)"
                        )
                    });
                };
                read_file(&Path::new(&folder).join(name), false)
            }
            Self::File(path) => read_file(path, true),
        }
    }
}

fn read_file(path: &Path, check_mode: bool) -> Result<ReadSecret, String> {
    let cannot = |error: std::io::Error| format!("can't read {}: {}", path.display(), reason(&error));
    let file = std::fs::File::open(path).map_err(cannot)?;
    let metadata = file.metadata().map_err(cannot)?;
    if metadata.is_dir() {
        return Err(format!("{} is a folder", path.display()));
    }
    let mut warnings = Vec::new();
    if check_mode && open_to_all(&metadata) {
        let message = format!("everybody on this machine may read {}", path.display());
        warnings.push(Doubt { message, help: "chmod 600, owned by the user that runs wagate" });
    }
    let mut bytes = Vec::new();
    file.take(MAX_SECRET + 1).read_to_end(&mut bytes).map_err(cannot)?;
    if bytes.len() as u64 > MAX_SECRET {
        return Err(format!("{} is larger than 64 KiB: that is no secret", path.display()));
    }
    let mut text = String::from_utf8(bytes).map_err(|_| format!("{} isn't UTF-8 text", path.display()))?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    checked(text, warnings)
}

#[cfg(unix)]
fn open_to_all(metadata: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    metadata.is_file() && metadata.permissions().mode() & 0o004 != 0
}

#[cfg(not(unix))]
fn open_to_all(_: &std::fs::Metadata) -> bool {
    false
}

fn checked(text: String, mut warnings: Vec<Doubt>) -> Result<ReadSecret, String> {
    if text.trim().is_empty() {
        return Err("the secret is empty".to_owned());
    }
    if text.trim() != text {
        let message = "the secret begins or ends with white space, which counts as part of it".to_owned();
        warnings.push(Doubt {
            message,
            help: "one line break at the end of a file is the only one that doesn't",
        });
    }
    Ok(ReadSecret { secret: Secret::new(text), warnings })
}

/// An I/O error in a person's words, without the number of the operating system.
pub(super) fn reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}
