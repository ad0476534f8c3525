//! What is written about the configuration is what the program reads.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use model::UserIdField;
use wagate::config::keys::{CARD_KEYS, KEYS, Key};
use wagate::config::{ClientAuthMode, Config, CrmKind, CrmMode, LogFormat, LogLevel, Severity, Tls};

use crate::shop::Shop;

const EXAMPLE: &str = include_str!("../../../docs/operating/wagate.example.toml");
const REFERENCE: &str = include_str!("../../../docs/operating/configuration.md");
/// The example of the contract, as it stands there.
const CONTRACT: &str = include_str!("contract.toml");

const REQUIRED_ONLY: &str = "[webhook]\nverify_token = \"file:verify_token\"\napp_secret = \"file:app_secret\"\n[webhook.tls]\nself_signed = true\n[api]\ntoken = \"file:api_token\"\n[[numbers]]\nphone_number_id = \"106540352242922\"\n[[whatsapp.endpoints]]\nurl = \"https://graph.facebook.com/v24.0\"\n[[crm.endpoints]]\nurl = \"https://crm.store.lan/wagate\"\n";

#[test]
fn the_example_is_accepted_without_a_warning() {
    let loaded = Shop::new().parse(EXAMPLE).unwrap_or_else(|problems| panic!("{}", problems.render(false)));
    assert_eq!(loaded.warnings.list, []);
    assert_eq!(loaded.not_yet(), []);
}

#[test]
fn the_example_shows_every_key_and_the_truth_about_its_default() {
    for key in KEYS {
        let lines: Vec<&str> = EXAMPLE.lines().filter(|line| assigns(line, key.name())).collect();
        // A table in a line.
        let within = key.path.contains(".acme.") && EXAMPLE.contains(&format!(" {} = ", key.name()));
        assert!(!lines.is_empty() || within, "{} isn't in the example", key.path);
    }
    // What is called a default may be left out, and nothing changes.
    let without: String = EXAMPLE
        .lines()
        .filter(|line| !(line.contains("# default;") || line.trim_end().ends_with("# default")))
        .map(|line| format!("{line}\n"))
        .collect();
    assert!(without.len() < EXAMPLE.len() - 1000);
    let shop = Shop::new();
    let (full, short) = (shop.parse(EXAMPLE).unwrap(), shop.parse(&without).unwrap());
    assert_eq!(format!("{:?}", full.config), format!("{:?}", short.config));
}

fn assigns(line: &str, name: &str) -> bool {
    line.trim_start_matches(['#', ' '])
        .strip_prefix(name)
        .is_some_and(|rest| rest.trim_start().starts_with('='))
}

#[test]
fn the_contracts_example_is_accepted() {
    let loaded = Shop::new().parse(CONTRACT).unwrap_or_else(|problems| panic!("{}", problems.render(false)));
    let warned: Vec<&str> = loaded.warnings.list.iter().map(|problem| problem.key.as_str()).collect();
    assert_eq!(warned, ["crm.endpoints[0].url", "crm.endpoints[1].url"], "http off loopback");
    assert_eq!(loaded.not_yet(), []);
    let config = loaded.config;
    assert_eq!(config.webhook.listen, "0.0.0.0:443".parse::<SocketAddr>().unwrap());
    assert_eq!(config.webhook.tls, Tls::SelfSigned);
    assert_eq!(config.numbers[0].phone.as_deref(), Some("+85291234567"));
    let backup = &config.whatsapp.endpoints[1];
    assert_eq!(backup.header.as_ref().unwrap().as_str(), "d360-api-key");
    assert_eq!((backup.path.as_str(), backup.url.as_str()), ("/messages", "https://waba-v2.360dialog.io/"));
    assert_eq!(backup.numbers.as_deref(), Some(["106540352242922".to_owned()].as_slice()));
    assert_eq!(config.crm.signing_secret[0].expose(), "secret-of-crm_secret");
    assert_eq!(config.crm.endpoints[1].url.as_str(), "http://crm2.store.lan/wagate");
}

#[test]
fn what_is_left_out_is_as_the_contract_shows_it() {
    let shop = Shop::new();
    let shown = shop.parse(CONTRACT).unwrap().config;
    let loaded = shop.parse(REQUIRED_ONLY).unwrap();
    let defaults = loaded.config.clone();
    let plain = |config: &Config| {
        let Config { store, webhook, api, numbers, whatsapp, crm, standby, costs, clock, log, network } =
            config;
        let number = &numbers[0];
        format!(
            "{store:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {standby:?} {costs:?} {clock:?} {log:?} {network:?}",
            (webhook.listen, &webhook.path, &webhook.public_url, &webhook.client_auth),
            api.listen,
            number.timezone.iana_name(),
            number.portfolio,
            number.limits,
            (whatsapp.health, whatsapp.uncertain),
            (&whatsapp.endpoints[0].name, &whatsapp.endpoints[0].path),
            (whatsapp.endpoints[0].timeout, &whatsapp.endpoints[0].ca, whatsapp.endpoints[0].user_id_field),
            (crm.kind, crm.mode),
            (crm.batch_every, crm.batch_size),
            crm.timeout,
            crm.health,
            crm.health_path,
            (&crm.endpoints[0].name, crm.endpoints[0].timeout, &crm.endpoints[0].ca),
        )
    };
    assert_eq!(plain(&defaults).replace("/wagate-none", ""), plain(&shown));
    // And once by hand, so that the two can't be wrong together.
    assert_eq!(defaults.store.max_size, 4 << 30);
    assert_eq!(defaults.store.history, Duration::from_secs(180 * 86_400));
    assert_eq!((defaults.store.log_segment, defaults.store.log_segments), (16 << 20, 4));
    assert_eq!(5 << 20, store::SEGMENT_BYTES_MIN, "the least that `store.log_segment` may be");
    assert_eq!(defaults.webhook.client_auth.mode, ClientAuthMode::Off);
    assert_eq!(defaults.api.listen, "127.0.0.1:8080".parse::<SocketAddr>().unwrap());
    let limits = defaults.numbers[0].limits;
    assert_eq!((limits.messages_per_day, limits.api_calls_per_day), (1000, 10_000));
    assert_eq!((limits.unique_recipients_per_24h, limits.messages_per_second), (250, 80));
    assert_eq!((limits.batch_above, limits.batch_every), (0.8, Duration::from_secs(900)));
    let health = defaults.whatsapp.health;
    assert_eq!((health.every, health.recheck), (Duration::from_secs(3600), Duration::from_secs(10)));
    assert_eq!((health.normal, health.slow), (Duration::from_millis(800), Duration::from_millis(1500)));
    assert_eq!((health.strikes, health.recover, health.timeout), (3, 3, Duration::from_secs(5)));
    assert_eq!(defaults.public_url(), None);
    assert_eq!(defaults.standby, None);
    let meta = &defaults.whatsapp.endpoints[0];
    assert_eq!((meta.timeout, meta.user_id_field), (Duration::from_secs(30), UserIdField::Recipient));
    assert_eq!(defaults.crm.endpoints[0].timeout, Duration::from_secs(10));
    assert_eq!((defaults.crm.kind, defaults.crm.mode), (CrmKind::Http, CrmMode::Realtime));
    assert_eq!((defaults.crm.batch_every, defaults.crm.batch_size), (Duration::from_secs(900), 100));
    let uncertain = defaults.whatsapp.uncertain;
    assert_eq!(
        (uncertain.reply, uncertain.service, uncertain.campaign),
        (None, None, None),
        "a person decides"
    );
    assert_eq!((&defaults.costs.rate_card, defaults.costs.low_water), (&None, None));
    let ahead = i64::try_from(defaults.clock.believed_ahead.as_millis()).unwrap();
    assert_eq!(ahead, policy::sending::clock::BELIEVED_AHEAD_MS);
    assert_eq!((defaults.log.format, defaults.log.level), (LogFormat::Auto, LogLevel::Info));
    assert!(loaded.warnings.of(Severity::Warning).any(|warning| warning.key == "crm.signing_secret"));
}

#[test]
fn numbers_endpoints_and_whole_tables_may_be_absent() {
    let bare = REQUIRED_ONLY.split("[[numbers]]").next().unwrap();
    let loaded = Shop::new().parse(bare).unwrap();
    assert_eq!(loaded.warnings.list, []);
    let config = loaded.config;
    assert!(
        config.numbers.is_empty() && config.whatsapp.endpoints.is_empty() && config.crm.endpoints.is_empty()
    );
}

#[test]
fn the_reference_names_every_key_and_no_other() {
    let rows: BTreeSet<&str> =
        REFERENCE.lines().filter(|line| line.starts_with("| `") && !line.starts_with("| `\"")).collect();
    // A card of `[[cards]]` has the keys of a card alone.
    let of_card = CARD_KEYS.iter().filter(|key| !key.path.starts_with("cards[]."));
    let expected: Vec<String> = KEYS.iter().chain(of_card).map(Key::reference).collect();
    let missing: Vec<&str> = expected.iter().map(String::as_str).filter(|row| !rows.contains(row)).collect();
    assert!(missing.is_empty(), "rows that configuration.md should have:\n{}", missing.join("\n"));
    let extra: Vec<&&str> = rows.iter().filter(|row| !expected.iter().any(|known| known == *row)).collect();
    assert!(extra.is_empty(), "rows that say what isn't so: {extra:#?}");
}
