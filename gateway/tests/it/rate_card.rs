//! The rate card: read and checked like the configuration that names it, without being able to stop it.

use std::path::Path;
use std::process::Command;

use policy::sending::{Category, RateCard};
use wagate::config::keys::{CARD_KEYS, KEYS};
use wagate::config::{Problems, Source, rate_card};

use crate::shop::Shop;

const EXAMPLE: &str = include_str!("../../../docs/operating/rate-card.example.toml");

fn read(text: &str) -> Result<Vec<RateCard>, Problems> {
    rate_card::parse(Source::rate_card(Path::new("card.toml"), text.to_owned()))
}

#[test]
fn the_example_is_a_card_and_says_that_it_is_none_to_bill_by() {
    assert!(EXAMPLE.starts_with("# MADE-UP PRICES. Valid from 2026-10-01"));
    let cards = read(EXAMPLE).unwrap_or_else(|problems| panic!("{}", problems.render(false)));
    assert_eq!(cards.len(), 2);
    for card in &cards {
        assert_eq!(card.check(), Ok(()));
    }
    let price = |card: &RateCard, phone| card.price(Category::Marketing, phone).unwrap().to_string();
    assert_eq!(price(&cards[0], "+85261234567"), "0.011100");
    assert_eq!(price(&cards[0], "+4930123456"), "0.044400");
    assert_eq!(price(&cards[1], "+85261234567"), "0.066600");
}

#[test]
fn one_card_needs_no_list() {
    let text = "valid_from = \"2026-10-01\"\ncurrency = \"EUR\"\n[other]\nmarketing = \"1\"\nutility = \"0.5\"\nauthentication = \"0.25\"\n";
    let cards = read(text).unwrap();
    assert_eq!((cards.len(), cards[0].currency.as_str(), cards[0].free_service_per_month), (1, "EUR", 0));
    let market = cards[0].other.as_ref().unwrap();
    assert_eq!((market.authentication_international, market.service.0), (None, 0));
}

#[test]
fn every_mistake_is_told_with_line_and_key() {
    let text = r#"valid_from = "1st of October"
currency = "usd"
free_service_per_month = -1
[[markets]]
calling_codes = ["852", "+86"]
marketing = 0.0732
utility = "0,0113"
authentication = "0.0113"
[[markets]]
calling_codes = ["852"]
marketing = "0.07"
utility = "0.01"
authentification = "0.01"
[[markets]]
calling_codes = ["44"]
marketing = "0.07"
utility = "0.01"
authentication = "0.01"
[[markets]]
calling_codes = ["1", "44"]
marketing = "0.07"
utility = "0.01"
authentication = "0.01"
[other]
marketing = "0.07"
utility = "0.01"
"#;
    let problems = read(text).unwrap_err();
    let lines: Vec<String> = problems.list.iter().map(|problem| problems.line(problem)).collect();
    let expected = [
        "card.toml:1:14: valid_from: \"1st of October\" is no date such as \"2026-10-01\"",
        "card.toml:2:12: currency: \"usd\" is no currency such as \"USD\"",
        "card.toml:3:26: free_service_per_month: -1 is out of range (allowed: 0 to 1000000000)",
        "card.toml:6:13: markets[0].marketing: an amount stands in quotes: so it is counted exactly (write \"0.0732\")",
        "card.toml:7:11: markets[0].utility: \"0,0113\" is no amount (the decimals stand behind a full stop)",
        "card.toml:13:1: markets[1].authentification: `authentification` is not a key of this table (did you mean `authentication`?)",
        "card.toml:20:17: markets[3].calling_codes: \"44\" stands in two places",
        "card.toml:24:1: other.authentication: `authentication` is required and missing",
    ];
    assert_eq!(lines, expected, "{}", lines.join("\n"));
    assert!(problems.render(false).contains("7 | utility = \"0,0113\"\n"), "{}", problems.render(false));
}

#[test]
fn cards_do_not_stand_beside_a_card() {
    let card = "[[cards]]\nvalid_from = \"2026-10-01\"\ncurrency = \"USD\"\n";
    let problems = read(&format!("currency = \"USD\"\n{card}{card}")).unwrap_err();
    let said: Vec<&str> = problems.list.iter().map(|problem| problem.message.as_str()).collect();
    assert_eq!(
        said,
        ["`currency` stands outside of the cards in [[cards]]", "another card is valid from this day, too"]
    );
}

#[test]
fn a_mistake_in_it_is_refused_by_check_and_stops_no_start() {
    let shop = Shop::new();
    let text = "[webhook]\nverify_token = \"file:verify_token\"\napp_secret = \"file:app_secret\"\n[webhook.tls]\nself_signed = true\n[api]\ntoken = \"file:api_token\"\n[costs]\nrate_card = \"card.toml\"\n";
    let missing = shop.parse(text).unwrap();
    assert!(missing.rate_card.unwrap().to_string().contains("can't be read: No such file or directory"));
    shop.secret("card.toml", "valid_form = \"2026-10-01\"\n", 0o600);
    let loaded = shop.parse(text).unwrap();
    assert_eq!(loaded.config.costs.cards, []);
    assert!(loaded.rate_card.unwrap().to_string().contains("did you mean `valid_from`?"));
    // A secret that is read anew asks for nothing else to be right.
    assert!(shop.parse(text).unwrap().reload_secrets(&|_| None).is_ok());

    let file = shop.secret("wagate.toml", text, 0o600).display().to_string();
    let check = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wagate"));
        let output = command.arg("check").args(arguments).args(["--config", &file]).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (code, said) = check(&[]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("wagate.toml: no mistakes\n") && said.contains("card.toml:1:1"), "{said}");
    let (code, said) = check(&["--json"]);
    let answer: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!((code, &answer["ok"], &answer["rate_card"]["ok"]), (Some(2), &false.into(), &false.into()));
    assert_eq!(answer["rate_card"]["mistakes"][0]["line"], 1);

    shop.secret("card.toml", EXAMPLE, 0o600);
    assert_eq!(check(&[]).0, Some(0));
    assert_eq!(shop.parse(text).unwrap().config.costs.cards.len(), 2);
}

#[test]
fn the_two_lists_of_keys_have_nothing_in_common() {
    assert!(CARD_KEYS.iter().all(|key| KEYS.iter().all(|other| other.path != key.path)));
}

#[test]
fn no_text_makes_the_reader_panic() {
    for text in [
        "",
        "cards = 1",
        "cards = []",
        "[cards]\n",
        "markets = [1]",
        "other = 2",
        "= =",
        "[[cards]]\n[[cards.markets]]\n",
    ] {
        assert!(read(text).is_err(), "{text:?}");
    }
    for end in 0..EXAMPLE.len() {
        _ = read(&EXAMPLE[..end]);
    }
}
