//! The fields of the form: what they are called, which keys of the configuration they stand for, and the
//! configuration that is made of them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::guard::Made;

/// A field of the form.
#[derive(Debug)]
pub(super) struct Field {
    /// Its name in the form.
    pub(super) name: &'static str,
    /// What people read.
    pub(super) label: &'static str,
    /// Where one finds it, or what happens without it.
    pub(super) hint: &'static str,
    /// What one looks like.
    pub(super) example: &'static str,
    /// The key that it stands for; what is wrong with that is told here.
    pub(super) key: &'static str,
    /// How it's typed.
    pub(super) kind: Kind,
}

/// How a field is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It has to be there.
    Needed,
    /// It may be empty.
    Optional,
    /// It has to be there, and nobody may read it over a shoulder.
    Secret,
    /// The same, and it may be empty.
    OptionalSecret,
    /// A file that may be left out.
    File,
}

const fn field(
    name: &'static str,
    kind: Kind,
    key: &'static str,
    label: &'static str,
    example: &'static str,
    hint: &'static str,
) -> Field {
    Field { name, label, hint, example, key, kind }
}

/// From Meta's App Dashboard.
pub(super) const META: &[Field] = &[
    field(
        "app_secret",
        Kind::Secret,
        "webhook.app_secret",
        "App secret",
        "",
        "Meta App Dashboard, Settings, Basic. Meta signs each webhook with it.",
    ),
    field(
        "verify_token",
        Kind::Needed,
        "webhook.verify_token",
        "Verify token",
        "",
        "Words of your own, or keep these. The same go into the App Dashboard, beside the webhook\u{2019}s address.",
    ),
    field(
        "graph_token",
        Kind::OptionalSecret,
        "whatsapp.endpoints[0].token",
        "Access token",
        "",
        "Of a system user, with whatsapp_business_messaging. Without it the box receives and can\u{2019}t send.",
    ),
];

/// The number.
pub(super) const NUMBER: &[Field] = &[
    field(
        "phone_number_id",
        Kind::Needed,
        "numbers[0].phone_number_id",
        "Phone number ID",
        "106540352242922",
        "App Dashboard, WhatsApp, API Setup. Not the telephone number.",
    ),
    field(
        "phone",
        Kind::Needed,
        "numbers[0].phone",
        "Telephone number",
        "+85291234567",
        "With country code, without blanks.",
    ),
    field(
        "timezone",
        Kind::Needed,
        "numbers[0].timezone",
        "Time zone",
        "Asia/Hong_Kong",
        "Whose midnight begins the store\u{2019}s day.",
    ),
];

/// The CRM.
pub(super) const CRM: &[Field] = &[field(
    "crm_url",
    Kind::Optional,
    "crm.endpoints[0].url",
    "Address of the CRM",
    "http://192.168.1.10/wagate",
    "The box posts each message there. Leave it empty if the CRM fetches them itself.",
)];

/// The public certificate.
pub(super) const TLS: &[Field] = &[
    field(
        "domains",
        Kind::Optional,
        "webhook.tls.acme.domains",
        "Public names",
        "box.example.com",
        "By which Meta calls this box; more than one with commas. The box gets a certificate for them from Let\u{2019}s \
         Encrypt, to whose terms you agree by this, and renews it. Port 443 of each name has to lead here.",
    ),
    field(
        "contact",
        Kind::Optional,
        "webhook.tls.acme.contact",
        "Your e-mail address for Let\u{2019}s Encrypt",
        "it@example.com",
        "Beside public names, if you like.",
    ),
    field(
        "certificate",
        Kind::File,
        "webhook.tls.certificate",
        "Certificate",
        "",
        "Instead of public names: PEM, with the whole chain. With neither of both the box makes its own, which does \
         for trials: Meta refuses it.",
    ),
    field("key", Kind::File, "webhook.tls.key", "Private key", "", "PEM."),
];

/// The fixed address.
pub(super) const NETWORK: &[Field] = &[
    field(
        "address",
        Kind::Optional,
        "network.address",
        "Address and prefix",
        "192.168.1.20/24",
        "Leave it empty, and the router gives the box its address (DHCP).",
    ),
    field(
        "gateway",
        Kind::Optional,
        "network.gateway",
        "Gateway",
        "192.168.1.1",
        "The router. Only beside a fixed address.",
    ),
    field(
        "dns",
        Kind::Optional,
        "network.dns",
        "Name servers",
        "192.168.1.1, 9.9.9.9",
        "Needed beside a fixed address; up to three, with commas.",
    ),
    field(
        "vlan",
        Kind::Optional,
        "network.vlan",
        "VLAN",
        "10",
        "Only if the switch gives the box a tagged one.",
    ),
];

/// All of them.
pub(super) fn all() -> impl Iterator<Item = &'static Field> {
    [META, NUMBER, CRM, TLS, NETWORK].into_iter().flatten()
}

/// What was typed, by field.
pub(super) type Typed = BTreeMap<&'static str, String>;

/// Files of a configuration by name.
pub(super) type Files = BTreeMap<String, Vec<u8>>;

/// What is wrong before anything was made of it, by field.
pub(super) fn missing(typed: &Typed) -> BTreeMap<&'static str, String> {
    let empty = |field: &&Field| typed.get(field.name).is_none_or(String::is_empty);
    let needed = |field: &&Field| matches!(field.kind, Kind::Needed | Kind::Secret);
    let mut wrong: BTreeMap<&str, String> = all()
        .filter(|field| needed(field) && empty(field))
        .map(|field| (field.name, "This is needed.".to_owned()))
        .collect();
    for (name, text) in typed {
        if all().any(|field| field.name == *name && field.kind != Kind::File)
            && text.contains(char::is_control)
        {
            wrong.insert(name, "This has to be one line.".to_owned());
        }
    }
    let both = |one: &str, other: &str| [one, other].iter().all(|name| given(typed, name).is_some());
    if both("domains", "certificate") || both("domains", "key") {
        wrong.insert("domains", "Either names, or a certificate of your own: not both.".to_owned());
    }
    if given(typed, "contact").is_some() && given(typed, "domains").is_none() {
        wrong.insert(
            "domains",
            "Let\u{2019}s Encrypt gives a certificate for names, and there is none.".to_owned(),
        );
    }
    wrong
}

/// What was typed into a field, if something was.
fn given<'a>(typed: &'a Typed, name: &str) -> Option<&'a str> {
    typed.get(name).map(String::as_str).filter(|text| !text.is_empty())
}

/// The first of the public names that were typed.
pub(super) fn first_name(typed: &Typed) -> Option<&str> {
    given(typed, "domains")?.split([',', ' ']).find(|one| !one.is_empty())
}

/// The texts of a list, as TOML has it: with commas, blanks or both between them.
fn quoted_list(typed: &str) -> String {
    let list: Vec<String> = typed.split([',', ' ']).filter(|one| !one.is_empty()).map(quoted).collect();
    list.join(", ")
}

/// The configuration that is made of what was typed.
pub(super) fn configuration(typed: &Typed, made: &Made) -> Files {
    let text = |name: &str| given(typed, name);
    let value = |name: &str| quoted(text(name).unwrap_or_default());
    let mut files = Files::new();
    let mut secret = |name: &str, text: &str| files.insert(name.to_owned(), format!("{text}\n").into_bytes());
    let mut toml = "# Made by the setup page. docs/operating/configuration.md tells what else there is.\n\n\
                    [webhook]\nverify_token = \"file:verify_token\"\napp_secret = \"file:app_secret\"\n\n[webhook.tls]\n"
        .to_owned();
    secret("verify_token", text("verify_token").unwrap_or_default());
    secret("app_secret", text("app_secret").unwrap_or_default());
    if text("certificate").or(text("key")).is_some() {
        toml.push_str("certificate = \"cert.pem\"\nkey = \"key.pem\"\n");
        for (name, file) in [("certificate", "cert.pem"), ("key", "key.pem")] {
            text(name).map(|pem| secret(file, pem));
        }
    } else if let Some(domains) = text("domains") {
        // Writing to a String never fails.
        let _ = write!(toml, "\n[webhook.tls.acme]\ndomains = [{}]\n", quoted_list(domains));
        if let Some(contact) = text("contact") {
            let address = contact.strip_prefix("mailto:").unwrap_or(contact);
            let _ = writeln!(toml, "contact = {}", quoted(&format!("mailto:{address}")));
        }
    } else {
        toml.push_str("self_signed = true\n");
    }
    let _ = write!(
        toml,
        "\n[api]\nlisten = \"0.0.0.0:8080\"\ntoken = \"file:api_token\"\n\n\
         [[numbers]]\nphone_number_id = {}\nphone = {}\ntimezone = {}\n",
        value("phone_number_id"),
        value("phone"),
        value("timezone"),
    );
    secret("api_token", &made.api_token);
    if let Some(token) = text("graph_token") {
        toml.push_str(
            "\n[[whatsapp.endpoints]]\nname = \"meta\"\nurl = \"https://graph.facebook.com/v24.0\"\n\
             token = \"file:graph_token\"\n",
        );
        secret("graph_token", token);
    }
    if text("crm_url").is_some() {
        let _ = write!(
            toml,
            "\n[crm]\nsigning_secret = \"file:crm_secret\"\n\n[[crm.endpoints]]\nname = \"primary\"\nurl = {}\n",
            value("crm_url")
        );
        secret("crm_secret", &made.crm_secret);
    }
    if NETWORK.iter().any(|field| text(field.name).is_some()) {
        toml.push_str("\n[network]\n");
        for name in ["address", "gateway"] {
            if text(name).is_some() {
                let _ = writeln!(toml, "{name} = {}", value(name));
            }
        }
        if let Some(servers) = text("dns") {
            let _ = writeln!(toml, "dns = [{}]", quoted_list(servers));
        }
        if let Some(vlan) = text("vlan") {
            // A number stands without quotes; anything else is told as what it is.
            let number = vlan.parse::<u32>().map_or_else(|_| quoted(vlan), |number| number.to_string());
            let _ = writeln!(toml, "vlan = {number}");
        }
    }
    files.insert("wagate.toml".to_owned(), toml.into_bytes());
    files
}

/// A text as TOML has it. The escapes of JSON are among those of TOML; control characters were refused before.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{Source, load};

    fn made() -> Made {
        Made { api_token: "api".to_owned(), crm_secret: "crm".to_owned(), verify_token: "verify".to_owned() }
    }

    fn typed(more: &[(&'static str, &str)]) -> Typed {
        let least = [
            ("app_secret", "app"),
            ("verify_token", "verify"),
            ("phone_number_id", "106540352242922"),
            ("phone", "+85291234567"),
            ("timezone", "Asia/Hong_Kong"),
        ];
        least.iter().chain(more).map(|(name, text)| (*name, (*text).to_owned())).collect()
    }

    /// Every mistake, by key.
    fn mistakes(typed: &Typed) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in configuration(typed, &made()) {
            std::fs::write(folder.path().join(name), bytes).unwrap();
        }
        match load(&folder.path().join("wagate.toml"), &|_| None) {
            Ok(loaded) => {
                assert_eq!(loaded.config.webhook.app_secret[0].expose(), typed["app_secret"]);
                Vec::new()
            }
            Err(problems) => {
                problems.of(crate::config::Severity::Mistake).map(|one| one.key.clone()).collect()
            }
        }
    }

    #[test]
    fn the_least_and_the_most_that_can_be_typed_are_right() {
        assert_eq!(mistakes(&typed(&[])), [""; 0]);
        let pem = |label: &str| format!("-----BEGIN {label}-----\nMA==\n-----END {label}-----\n");
        let most = typed(&[
            ("graph_token", "EAAG"),
            ("crm_url", "http://192.168.1.10/wagate?a=\"b\\"),
            ("certificate", &pem("CERTIFICATE")),
            ("key", &pem("PRIVATE KEY")),
            ("address", "192.168.1.20/24"),
            ("gateway", "192.168.1.1"),
            ("dns", "192.168.1.1, 9.9.9.9"),
            ("vlan", "10"),
        ]);
        assert_eq!(mistakes(&most), [""; 0]);
        let names = typed(&[("domains", "box.example.com, shop.example.com"), ("contact", "it@example.com")]);
        assert!(missing(&names).is_empty());
        assert_eq!(mistakes(&names), [""; 0]);
    }

    #[test]
    fn names_are_asked_for_or_a_certificate_is_given() {
        for (more, wrong) in [
            (&[("domains", "box.example.com"), ("key", "PEM")][..], true),
            (&[("domains", "box.example.com"), ("certificate", "PEM")], true),
            (&[("contact", "it@example.com")], true),
            (&[("domains", "box.example.com")], false),
            (&[("certificate", "PEM"), ("key", "PEM")], false),
        ] {
            assert_eq!(missing(&typed(more)).contains_key("domains"), wrong, "{more:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_at_a_key_that_a_field_has() {
        for (name, text) in [
            ("phone_number_id", "+852"),
            ("phone", "91234567"),
            ("timezone", "Hongkong Time"),
            ("crm_url", "crm.lan"),
            ("address", "192.168.1.20"),
            ("vlan", "many"),
            ("certificate", "no PEM"),
            ("domains", "192.168.1.20"),
            ("domains", "https://box.example.com/"),
            ("phone", "\"]\n[log]"),
        ] {
            let wrong = mistakes(&typed(&[(name, text)]));
            let field = all().find(|field| field.name == name).unwrap();
            assert!(wrong.iter().any(|key| key == field.key), "{name}: {wrong:?}");
        }
        assert_eq!(
            missing(&typed(&[("phone", ""), ("crm_url", "a\nb")])).into_keys().collect::<Vec<_>>(),
            ["crm_url", "phone"]
        );
    }

    #[test]
    fn every_field_stands_for_a_key_that_there_is() {
        for field in all() {
            let pattern = field.key.replace("[0]", "[]");
            assert!(crate::config::keys::KEYS.iter().any(|key| key.path == pattern), "{}", field.key);
        }
        let source = Source::new(
            Path::new("x"),
            String::from_utf8(configuration(&typed(&[]), &made())["wagate.toml"].clone()).unwrap(),
        );
        assert!(source.text.contains("self_signed = true"));
    }
}
