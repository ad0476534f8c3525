//! How a person proves to stand beside the box: a code that the serial line and the box's own partition show.

use std::fmt::Write as _;
use std::io;
use std::path::Path;

use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom as _, SystemRandom};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

/// Letters and digits that nobody takes for one another, on a screen or in handwriting.
const ALPHABET: &[u8; 25] = b"ACDEFGHJKMNPQRTUVWXY34679";
/// Characters of a code: 25^8 are 10^11.
pub const LENGTH: usize = 8;
/// The certificate in its folder, as `ingress` names it.
const CERTIFICATE: &str = "self_signed.pem";
/// The file of the code, in the supervisor's folder and in that of the processes.
pub const CODE: &str = "setup-code";
/// What is wrong with a configuration that was refused, for the setup page; may be empty.
pub const MISTAKES: &str = "setup-mistakes";
/// The folder of the certificate, in the supervisor's folder.
pub const TLS: &str = "setup-tls";
/// The user and the group that the setup page runs as.
const GATEWAY: u32 = super::disk::GATEWAY_GROUP;

/// A new code.
///
/// # Errors
/// When the system has no randomness.
pub fn new_code() -> io::Result<String> {
    let random = SystemRandom::new();
    let mut code = String::new();
    while code.len() < LENGTH {
        let mut byte = [0];
        random.fill(&mut byte).map_err(|_| io::Error::other("the system has no randomness"))?;
        // 250 is the largest multiple of 25: each character is as likely as the others.
        if byte[0] < 250 {
            code.push(char::from(ALPHABET[usize::from(byte[0] % 25)]));
        }
    }
    Ok(code)
}

/// The code kept in `file`, or a new one that is kept there: it stays the same, however often the box is started,
/// until [`forget`] is called.
///
/// # Errors
/// When the system has no randomness; that the file can't be written only makes the code a new one each time.
pub fn code(file: &Path) -> io::Result<String> {
    if let Ok(kept) = std::fs::read_to_string(file)
        && is_code(kept.trim())
    {
        return Ok(kept.trim().to_owned());
    }
    let code = new_code()?;
    if let Err(error) = keep(file, &code) {
        tracing::warn!(%error, "can't keep the setup code: the next start has another one");
    }
    Ok(code)
}

fn keep(file: &Path, code: &str) -> io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(file)?;
    file.write_all(code.as_bytes())?;
    file.sync_all()
}

/// Forgets the code, since a configuration is in force.
pub fn forget(file: &Path) {
    if let Err(error) = std::fs::remove_file(file)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(%error, "can't forget the setup code");
    }
}

/// Whether `text` has the form of a code.
#[must_use]
pub fn is_code(text: &str) -> bool {
    text.len() == LENGTH && text.bytes().all(|byte| ALPHABET.contains(&byte))
}

/// The code that somebody means by `text`, who may have typed small letters, blanks and dashes.
#[must_use]
pub fn typed(text: &str) -> String {
    text.chars().filter(|character| !" -\t".contains(*character)).map(|c| c.to_ascii_uppercase()).collect()
}

/// A code as people read it: `ACDE-FGHJ`.
#[must_use]
pub fn shown(code: &str) -> String {
    match code.split_at_checked(LENGTH / 2) {
        Some((first, second)) => format!("{first}-{second}"),
        None => code.to_owned(),
    }
}

/// Finds or makes the certificate of the setup page in `folder`, for the user that serves the page, and gives back
/// its fingerprint.
///
/// # Errors
/// When it can't be made or kept, in words for people.
pub fn certificate(folder: &Path) -> Result<String, String> {
    ingress::Tls::open(&ingress::Source::SelfSigned(folder.to_owned())).map_err(|error| error.to_string())?;
    let file = folder.join(CERTIFICATE);
    if rustix::process::geteuid().is_root() {
        for path in [folder, &file] {
            let given = std::os::unix::fs::chown(path, Some(GATEWAY), Some(GATEWAY));
            given.map_err(|error| format!("can't give {} to the setup page: {error}", path.display()))?;
        }
    }
    let pem = std::fs::read(&file).map_err(|error| format!("can't read {}: {error}", file.display()))?;
    fingerprint(&pem).ok_or_else(|| format!("{} holds no certificate", file.display()))
}

/// SHA-256 of the first certificate in `pem`, as browsers show it: 32 bytes in capitals, with colons.
#[must_use]
pub fn fingerprint(pem: &[u8]) -> Option<String> {
    let certificate = CertificateDer::from_pem_slice(pem).ok()?;
    let bytes: Vec<String> =
        digest(&SHA256, &certificate).as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
    Some(bytes.join(":"))
}

/// Makes everything ready for the setup page: certificate and code, which stay the same however often the box is
/// started, and for the process that serves the page, in the folder `run`, the code and what is wrong with
/// a configuration that was refused. `kept` is the supervisor's own folder on the data partition.
///
/// # Errors
/// When one of them can't be made or written, in words for people.
pub fn prepare(kept: &Path, run: &Path, mistakes: Option<&str>) -> Result<Prepared, String> {
    let code = code(&kept.join(CODE)).map_err(|error| error.to_string())?;
    let fingerprint = certificate(&kept.join(TLS))?;
    for (name, text) in [(CODE, code.as_str()), (MISTAKES, mistakes.unwrap_or_default())] {
        let file = run.join(name);
        let written = match std::fs::remove_file(&file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => super::disk::Disk::write(&super::disk::LinuxDisk, &file, text.as_bytes()),
        };
        written.map_err(|error| format!("can't write {}: {error}", file.display()))?;
    }
    Ok(Prepared { code, fingerprint })
}

/// Forgets what [`prepare`] made ready, since a configuration is in force; the certificate stays.
pub fn finish(kept: &Path, run: &Path) {
    for file in [kept.join(CODE), run.join(CODE), run.join(MISTAKES)] {
        forget(&file);
    }
}

/// What the serial line shows, beside name and addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    /// See [`code`].
    pub code: String,
    /// See [`certificate`].
    pub fingerprint: String,
}

/// What a person needs to reach the setup page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    /// The box's name, `wagate-7f3a`.
    pub name: String,
    /// Its addresses, `192.168.1.20`, as far as the network has given it any.
    pub addresses: Vec<String>,
    /// See [`code`].
    pub code: String,
    /// See [`certificate`].
    pub fingerprint: String,
}

impl Invitation {
    /// For the serial line.
    #[must_use]
    pub fn console(&self) -> String {
        format!(
            "\n=== {}: no configuration yet ===\nSetup page:  {}\nCode:        {}\nCertificate: {}\n\
             (or put wagate.toml on the card, or on a USB stick named WAGATE)\n\n",
            self.name,
            self.places().join("\n             "),
            shown(&self.code),
            self.fingerprint_lines().join("\n             "),
        )
    }

    /// For [`super::SETUP`]. Without the addresses: they change, and flash wears out.
    #[must_use]
    pub fn note(&self) -> String {
        let mut note = format!(
            "This box has no configuration yet. Its setup page, for a browser in the same network:\n\n    {}\n\n\
             Code:  {}\n\n\
             The browser warns, since the certificate is the box's own. Its SHA-256 fingerprint is:\n",
            self.address(),
            shown(&self.code),
        );
        for line in self.fingerprint_lines() {
            let _ = write!(note, "\n    {line}");
        }
        note.push_str("\n\nThe code ends when the box has a configuration, and this file goes then.\n");
        note
    }

    fn address(&self) -> String {
        format!("https://{}.local/", self.name)
    }

    fn places(&self) -> Vec<String> {
        let bracketed =
            |address: &String| if address.contains(':') { format!("[{address}]") } else { address.clone() };
        let by_number = self.addresses.iter().map(|address| format!("https://{}/", bracketed(address)));
        [self.address()].into_iter().chain(by_number).collect()
    }

    /// Two lines, as browsers show it.
    fn fingerprint_lines(&self) -> Vec<String> {
        let half = self.fingerprint.len() / 2 + 1;
        match self.fingerprint.split_at_checked(half) {
            Some((first, second)) => vec![first.to_owned(), second.to_owned()],
            None => vec![self.fingerprint.clone()],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_kept_until_it_is_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("setup-code");
        let first = code(&file).unwrap();
        assert!(is_code(&first), "{first}");
        assert_eq!(code(&file).unwrap(), first);
        forget(&file);
        forget(&file);
        assert_ne!(code(&file).unwrap(), first);
        std::fs::write(&file, "half").unwrap();
        assert!(is_code(&code(&file).unwrap()), "what a power cut left is replaced");
        assert!(is_code(&code(&folder.path().join("nowhere/code")).unwrap()));
    }

    #[test]
    fn the_page_finds_code_and_mistakes_until_a_configuration_is_in_force() {
        let folder = tempfile::tempdir().unwrap();
        let read = |name: &str| std::fs::read_to_string(folder.path().join("run").join(name)).ok();
        let [kept, run] = ["kept", "run"].map(|name| folder.path().join(name));
        std::fs::create_dir(&kept).unwrap();
        std::fs::create_dir(&run).unwrap();
        let first = prepare(&kept, &run, Some("line 3")).unwrap();
        assert_eq!((read(CODE), read(MISTAKES)), (Some(first.code.clone()), Some("line 3".to_owned())));
        assert_eq!(prepare(&kept, &run, None).unwrap(), first, "the same after another start");
        assert_eq!(read(MISTAKES).as_deref(), Some(""));
        finish(&kept, &run);
        assert_eq!((read(CODE), read(MISTAKES)), (None, None));
        let next = prepare(&kept, &run, None).unwrap();
        assert_ne!(next.code, first.code);
        assert_eq!(next.fingerprint, first.fingerprint);
    }

    #[test]
    fn a_code_is_understood_as_it_is_read_out() {
        assert_eq!(shown("ACDEFGHJ"), "ACDE-FGHJ");
        assert_eq!(typed(" acde-fghj "), "ACDEFGHJ");
        assert!(!is_code("ACDEFGH0") && !is_code("ACDEFGH"));
    }

    #[test]
    fn the_invitation_holds_address_code_and_fingerprint() {
        let folder = tempfile::tempdir().unwrap();
        let fingerprint = certificate(&folder.path().join("tls")).unwrap();
        assert_eq!(fingerprint.len(), 32 * 3 - 1);
        assert_eq!(certificate(&folder.path().join("tls")).unwrap(), fingerprint, "it is made once");
        let invitation = Invitation {
            name: "wagate-7f3a".to_owned(),
            addresses: vec!["192.168.1.20".to_owned(), "fd00::1".to_owned()],
            code: "ACDEFGHJ".to_owned(),
            fingerprint: fingerprint.clone(),
        };
        let console = invitation.console();
        for part in ["https://wagate-7f3a.local/", "https://192.168.1.20/", "https://[fd00::1]/", "ACDE-FGHJ"]
        {
            assert!(console.contains(part), "{part} isn't in {console}");
        }
        for text in [console, invitation.note()] {
            let joined: String = text.split_whitespace().collect();
            assert!(joined.contains(&fingerprint), "{text}");
            assert!(text.lines().all(|line| line.len() <= 100), "{text}");
        }
    }
}
