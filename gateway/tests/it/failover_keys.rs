//! The keys of failover: defaults, and where they come from.

use std::time::Duration;

use model::UserIdField;
use wagate::config::Config;

use crate::shop::Shop;

fn read(shop: &Shop, webhook: &str, rest: &str) -> Config {
    let text = format!(
        "[webhook]\nverify_token = \"file:verify_token\"\napp_secret = \"file:app_secret\"\n{webhook}\n[api]\ntoken = \"file:api_token\"\n{rest}"
    );
    shop.parse(&text).unwrap_or_else(|problems| panic!("{}", problems.render(false))).config
}

const SELF_SIGNED: &str = "tls.self_signed = true";

#[test]
fn the_public_url_is_the_one_of_the_file_else_that_of_the_certificate_else_unknown() {
    let shop = Shop::new();
    let acme = "tls.acme.domains = [\"box.example.com\", \"other.example.com\"]\npath = \"/in\"";
    let own = "public_url = \"https://relay.example.com/hook\"";
    for (webhook, expected) in [
        (SELF_SIGNED.to_owned(), None),
        (acme.to_owned(), Some("https://box.example.com/in")),
        (format!("{acme}\n{own}"), Some("https://relay.example.com/hook")),
        (format!("{SELF_SIGNED}\n{own}"), Some("https://relay.example.com/hook")),
        // Longer than Meta takes, so there is none to hand out.
        (format!("{}\npath = \"/{}\"", acme.split('\n').next().unwrap(), "a".repeat(200)), None),
    ] {
        let config = read(&shop, &webhook, "");
        assert_eq!(config.public_url().map(reqwest::Url::as_str), expected, "{webhook}");
    }
    let longest = format!("https://box.example.com/{}", "a".repeat(200 - 24));
    assert_eq!(longest.len(), 200);
    let config = read(&shop, &format!("{SELF_SIGNED}\npublic_url = \"{longest}\""), "");
    assert_eq!(config.public_url().unwrap().as_str(), longest);
}

#[test]
fn an_endpoint_has_its_own_timeout_roots_and_field_else_the_default() {
    let shop = Shop::new();
    let pem = include_str!("root.pem");
    shop.secret("roots.pem", pem, 0o600);
    let config = read(
        &shop,
        SELF_SIGNED,
        "[[whatsapp.endpoints]]\nurl = \"https://a.example\"\ntoken = \"file:graph_token\"\ntimeout = \"5m\"\nca = \"roots.pem\"\nuser_id_field = \"to\"\n[crm]\ntimeout = \"7s\"\n[[crm.endpoints]]\nurl = \"https://b.example\"\n[[crm.endpoints]]\nurl = \"https://c.example\"\ntimeout = \"20ms\"\nca = \"roots.pem\"\n",
    );
    let meta = &config.whatsapp.endpoints[0];
    assert_eq!((meta.timeout, meta.user_id_field), (Duration::from_secs(300), UserIdField::To));
    let roots = meta.ca.as_ref().unwrap();
    assert_eq!((&roots.file, roots.pem.as_slice()), (&shop.path().join("roots.pem"), pem.as_bytes()));
    let [first, second] = config.crm.endpoints.as_slice() else { panic!() };
    assert_eq!((first.timeout, &first.ca), (Duration::from_secs(7), &None));
    assert_eq!((second.timeout, second.ca.as_ref()), (Duration::from_millis(20), Some(roots)));
}

#[test]
fn a_standby_is_there_once_it_has_a_peer() {
    let shop = Shop::new();
    assert_eq!(read(&shop, SELF_SIGNED, "[standby]\n").standby, None);
    let standby = read(&shop, SELF_SIGNED, "[standby]\npeer = \"http://box1.lan/\"\n").standby.unwrap();
    assert_eq!(standby.peer.as_str(), "http://box1.lan/");
    assert_eq!((standby.every, standby.silent_for), (Duration::from_secs(10), Duration::from_secs(60)));
    assert_eq!((standby.timeout, standby.take), (Duration::from_secs(5), false));
    let webhook = format!("{SELF_SIGNED}\npublic_url = \"https://box2.example.com/webhook\"");
    let rest = "[standby]\npeer = \"http://box1.lan/\"\ntake = true\nevery = \"30s\"\n";
    assert!(read(&shop, &webhook, rest).standby.unwrap().take, "twice `every` is enough");
}

#[test]
fn a_number_may_have_another_company_than_meta_alone() {
    let text = "[webhook]\nverify_token = \"file:verify_token\"\napp_secret = \"file:app_secret\"\ntls.self_signed = true\n[api]\ntoken = \"file:api_token\"\n[[numbers]]\nphone_number_id = \"1\"\n[[whatsapp.endpoints]]\nurl = \"https://waba-v2.360dialog.io\"\nheader = \"D360-API-KEY\"\ntoken = \"file:bsp_token\"\npath = \"/messages\"\n";
    let loaded = Shop::new().parse(text).unwrap();
    assert_eq!(loaded.warnings.list, []);
}
