//! The configuration that is kept, and started with when a new one is refused.

use std::path::{Path, PathBuf};

use wagate::config::accepted::{BESIDE, IN_STORE, keep, start, start_to_run};
use wagate::config::{Severity, system_env};

use crate::shop::Shop;

/// A shop whose store and configuration lie in folders of their own.
struct Appliance {
    shop: Shop,
    file: PathBuf,
    store: PathBuf,
}

fn good(store: &Path) -> String {
    format!(
        "[store]\npath = \"{}\"\n[webhook]\nverify_token = \"file:verify_token\"\napp_secret = \"file:app_secret\"\n[webhook.tls]\nself_signed = true\n[api]\ntoken = \"file:api_token\"\n",
        store.display()
    )
}

impl Appliance {
    fn started_once() -> Self {
        let shop = Shop::new();
        let (file, store) = (shop.path().join("wagate.toml"), shop.path().join("store"));
        std::fs::create_dir(&store).unwrap();
        std::fs::write(&file, good(&store)).unwrap();
        let first = start(&file, &system_env).unwrap();
        assert!(first.refused.is_none());
        keep(&first.loaded).unwrap();
        Self { shop, file, store }
    }

    fn beside(&self) -> PathBuf {
        PathBuf::from(format!("{}{BESIDE}", self.file.display()))
    }

    /// Whether a start with `text` in the file goes on with the kept configuration.
    fn survives(&self, text: &str) -> bool {
        std::fs::write(&self.file, text).unwrap();
        match start(&self.file, &system_env) {
            Ok(start) => {
                assert_eq!(start.loaded.config.store.path, self.store);
                assert_eq!(start.loaded.config.webhook.app_secret[0].expose(), "secret-of-app_secret");
                start.refused.expect("the file is faulty").refuse()
            }
            Err(problems) => {
                assert!(problems.refuse());
                false
            }
        }
    }
}

#[test]
fn a_refused_file_leads_to_the_one_that_worked() {
    let appliance = Appliance::started_once();
    let good = good(&appliance.store);
    for faulty in [
        good.replace("verify_token =", "verify_tokn ="),
        good.replace("file:app_secret", "file:app_secrte"),
        good.replace("self_signed = true", "self_signed = true\noff = true"),
        good.replace("[store]", "[stor]"),
        good.replace("[store]", "[store"),
        good.replace("[webhook]", "[webhook"),
        good.replace("self_signed = true", "acme = { domains = [\"203.0.113.9\"] }"),
        String::new(),
    ] {
        assert!(appliance.survives(&faulty), "{faulty}");
    }
    std::fs::remove_file(&appliance.file).unwrap();
    assert!(start(&appliance.file, &system_env).unwrap().refused.is_some(), "a file that is gone");
    std::fs::write(&appliance.file, &good).unwrap();
    assert!(start(&appliance.file, &system_env).unwrap().refused.is_none(), "the file is good again");
}

#[test]
fn certificates_that_no_start_can_use_lead_to_the_one_that_worked() {
    let appliance = Appliance::started_once();
    let good = good(&appliance.store);
    let pair = || rcgen::generate_simple_self_signed(["box.example.com".to_owned()]).unwrap();
    let (one, other) = (pair(), pair());
    let damaged = "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n".to_owned();
    for (name, text) in
        [("chain.pem", one.cert.pem()), ("other.pem", other.signing_key.serialize_pem()), ("ca.pem", damaged)]
    {
        appliance.shop.secret(name, &text, 0o600);
    }
    let files = "certificate = \"chain.pem\"\nkey = \"other.pem\"";
    let ca = |mode: &str| format!("client_auth = {{ mode = \"{mode}\", ca = \"ca.pem\" }}");
    for (faulty, key) in [
        (good.replace("self_signed = true", files), "webhook.tls.key"),
        (format!("{good}[api.tls]\n{files}\n"), "api.tls.key"),
        (format!("{good}[api.tls]\n{}\n", files.replace("chain.pem", "ca.pem")), "api.tls.certificate"),
        (good.replace("[webhook]", &format!("[webhook]\n{}", ca("optional"))), "webhook.client_auth.ca"),
        (format!("{good}{}\ntls.self_signed = true\n", ca("required")), "api.client_auth.ca"),
    ] {
        std::fs::write(&appliance.file, &faulty).unwrap();
        let asks = start(&appliance.file, &system_env).unwrap();
        assert!(asks.refused.is_none(), "who only asks needs none of it: {faulty}");
        let runs = start_to_run(&appliance.file, &system_env).unwrap();
        let refused = runs.refused.unwrap_or_else(|| panic!("it would not start: {faulty}"));
        let found: Vec<_> =
            refused.of(Severity::Mistake).map(|one| (one.key.as_str(), one.span.is_some())).collect();
        assert_eq!(found, [(key, true)], "{faulty}");
        assert!(runs.loaded.unusable().is_empty());
        assert!(!std::fs::exists(appliance.store.join("tls")).unwrap(), "nothing was made");
    }
    // Where there is nothing better the start has to say it itself.
    for copy in [appliance.beside(), appliance.store.join(IN_STORE)] {
        std::fs::remove_file(copy).unwrap();
    }
    assert!(start_to_run(&appliance.file, &system_env).unwrap().refused.is_none());
}

#[test]
fn either_copy_is_enough() {
    let appliance = Appliance::started_once();
    let faulty = good(&appliance.store).replace("self_signed", "self_singed");
    std::fs::remove_file(appliance.beside()).unwrap();
    assert!(appliance.survives(&faulty));
    let appliance = Appliance::started_once();
    let faulty = good(&appliance.store).replace("self_signed", "self_singed");
    std::fs::write(appliance.store.join(IN_STORE), "{ torn").unwrap();
    assert!(appliance.survives(&faulty));
    std::fs::remove_file(appliance.beside()).unwrap();
    assert!(!appliance.survives(&faulty), "with no copy left, the file stays refused");
}

#[test]
fn a_copy_of_another_file_or_with_mistakes_of_its_own_is_passed_over() {
    let appliance = Appliance::started_once();
    let faulty = good(&appliance.store).replace("self_signed", "self_singed");
    let other = appliance.shop.path().join("other.toml");
    std::fs::write(&other, &faulty).unwrap();
    assert!(start(&other, &system_env).is_err());
    std::fs::remove_file(appliance.shop.path().join("verify_token")).unwrap();
    std::fs::write(&appliance.file, &faulty).unwrap();
    let problems = start(&appliance.file, &system_env).unwrap_err();
    let keys: Vec<&str> = problems.of(Severity::Mistake).map(|mistake| mistake.key.as_str()).collect();
    assert!(keys.contains(&"webhook.tls.self_singed"), "the new file's mistakes are told: {keys:?}");
}

#[test]
fn the_copy_is_for_its_owner_only_and_is_written_only_when_it_changes() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let appliance = Appliance::started_once();
    let copies = [appliance.store.join(IN_STORE), appliance.beside()];
    let inodes = || copies.each_ref().map(|copy| std::fs::metadata(copy).unwrap().ino());
    for copy in &copies {
        assert_eq!(std::fs::metadata(copy).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let before = inodes();
    // What a power cut left behind is no obstacle.
    std::fs::write(appliance.store.join(format!("{IN_STORE}.new")), "half").unwrap();
    keep(&start(&appliance.file, &system_env).unwrap().loaded).unwrap();
    assert_eq!(inodes(), before);
    std::fs::write(&appliance.file, good(&appliance.store) + "[log]\nlevel = \"debug\"\n").unwrap();
    keep(&start(&appliance.file, &system_env).unwrap().loaded).unwrap();
    assert!(std::fs::read_to_string(&copies[0]).unwrap().contains("debug"));
}
