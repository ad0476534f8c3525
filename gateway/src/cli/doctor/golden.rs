//! Every line that isn't good news, in one place, so that a person can read them one after the other:
//! `golden.txt`. `WAGATE_BLESS=1 cargo test -p wagate --lib doctor` writes it anew; read the difference.

use std::time::Duration;

use model::WallTime;
use reqwest::Url;
use serde_json::{Value, json};

use super::certificate::Authority;
use super::disk::{Live, tests::store};
use super::dns::{Found, Whose};
use super::finding::{Check, Finding};
use super::flash::Wear;
use super::unheard::{Side, Unheard};
use super::world::{Gateway, Heard};
use super::{clock, crm, disk, dns, flash, reach, report, running, storage, subscription, token};
use crate::config::Health;

const WORDS: &str = include_str!("golden.txt");
const GIB: u64 = 1 << 30;
const DAY_S: i64 = 86_400;

fn took(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn heard(status: u16, body: Value) -> Result<Heard, Unheard> {
    Ok(Heard { status, body, took: took(85), date: None })
}

fn gateway() -> Vec<Finding> {
    let status = |ready: bool, alarms: Value| {
        running::judge(&Gateway::Runs(
            json!({ "ready": ready, "alarms": alarms, "backlog": { "records": 2 } }),
        ))
    };
    vec![
        status(true, json!([])),
        status(true, json!(["the disk is full: webhooks are refused", "history went before its time"])),
        status(false, json!([])),
        running::judge(&Gateway::Stranger(401)),
        running::judge(&Gateway::Stranger(404)),
        running::judge(&Gateway::Silent(Unheard::Refused)),
        running::judge(&Gateway::Nowhere),
    ]
}

fn clocks() -> Vec<Finding> {
    let with = |ahead_ms| clock::Compared::With { host: "graph.facebook.com".to_owned(), ahead_ms };
    let invalid = clock::Compared::NotValid { host: "graph.facebook.com".to_owned() };
    vec![
        clock::judge(&with(300), Some(true)),
        clock::judge(&with(300), Some(false)),
        clock::judge(&with(-7_300), Some(false)),
        clock::judge(&with(5 * 60_000), None),
        clock::judge(&with(-400 * 86_400_000), None),
        clock::judge(&invalid, None),
        clock::judge(&clock::Compared::Nothing, Some(true)),
        clock::judge(&clock::Compared::Nothing, Some(false)),
        clock::judge(&clock::Compared::Nothing, None),
    ]
}

fn names() -> Vec<Finding> {
    vec![
        dns::judge("graph.facebook.com", Whose::Theirs, Found::Addresses(2), took(12)),
        dns::judge("graph.facebook.com", Whose::Theirs, Found::Addresses(2), took(3_200)),
        dns::judge("crm.store.lan", Whose::Theirs, Found::Unknown, took(12)),
        dns::judge("box.example.com", Whose::Ours, Found::Unknown, took(12)),
        dns::judge("graph.facebook.com", Whose::Theirs, Found::Silent, took(5_000)),
    ]
}

fn reached() -> Vec<Finding> {
    let ms = Duration::from_millis;
    let health = Health {
        every: ms(3_600_000),
        recheck: ms(10_000),
        normal: ms(800),
        slow: ms(1_500),
        strikes: 3,
        recover: 3,
        timeout: ms(5_000),
    };
    let number = |sum: &str, errors: Value| {
        let entity = json!({ "entity_type": "WABA", "id": "1", "can_send_message": sum, "errors": errors });
        heard(200, json!({ "health_status": { "can_send_message": sum, "entities": [entity] } }))
    };
    let payment = json!([{ "error_code": 141_006, "error_description": "There is an error with the payment method.",
        "possible_solution": "Add a payment method to the account." }]);
    let late = |ms| Ok(Heard { status: 200, body: json!({}), took: took(ms), date: None });
    let meta = |heard| reach::judge_whatsapp("meta", true, &heard, health);
    let backup = |heard| reach::judge_whatsapp("backup", false, &heard, health);
    let crm = |heard| reach::judge_crm("primary", &heard, health);
    let mut list = vec![
        meta(number("AVAILABLE", json!([]))),
        meta(late(1_100)),
        meta(late(2_100)),
        meta(number("BLOCKED", payment)),
        meta(number("LIMITED", json!([]))),
        meta(heard(401, json!({ "error": { "code": 190 } }))),
        meta(heard(503, Value::Null)),
        meta(heard(200, Value::Null)),
        backup(heard(401, Value::Null)),
        crm(heard(404, Value::Null)),
        crm(heard(502, Value::Null)),
    ];
    let whys = [
        Unheard::Silent,
        Unheard::Refused,
        Unheard::NoWay,
        Unheard::NoName,
        Unheard::Broken,
        Unheard::WrongTime,
        Unheard::WrongName,
        Unheard::Untrusted,
        Unheard::Tls("received corrupt message".to_owned()),
        Unheard::Unsendable("url and path of the endpoint make no URL".to_owned()),
        Unheard::NotHttp,
        Unheard::Other("something went wrong".to_owned()),
    ];
    for why in &whys {
        list.push(meta(Err(why.clone())));
        if why.next(Side::Crm) != why.next(Side::Internet) {
            list.push(crm(Err(why.clone())));
        }
    }
    list
}

fn tokens() -> Vec<Finding> {
    const NOW: WallTime = WallTime(1_795_305_600_000);
    let both = ["whatsapp_business_messaging", "whatsapp_business_management"];
    let of = |issued_days: i64, expires_days: i64, access_days: i64, scopes: &[&str]| {
        let at = |days: i64| if days == 0 { 0 } else { NOW.0 / 1_000 + days * DAY_S };
        let data = json!({ "is_valid": true, "issued_at": at(issued_days), "expires_at": at(expires_days),
            "data_access_expires_at": at(access_days), "scopes": scopes });
        token::judge(&heard(200, json!({ "data": data })), NOW)
    };
    let refused = |status, code: i64| token::judge(&heard(status, json!({ "error": { "code": code } })), NOW);
    let invalid = json!({ "data": { "is_valid": false, "error": { "code": 190 } } });
    let list = [
        of(-3, 0, 0, &both),
        of(-3, 60, 0, &both),
        of(-45, 0, 0, &both),
        of(-3, 5, 0, &both),
        of(-3, 0, 6, &both),
        of(-3, 0, 0, &both[..1]),
        of(-3, 0, 0, &both[1..]),
        token::judge(&heard(200, invalid), NOW),
        refused(401, 190),
        refused(403, 10),
        refused(400, 4),
        refused(500, 2),
        token::judge(&Err(Unheard::Silent), NOW),
    ];
    list.map(|finding| finding.about("meta")).to_vec()
}

fn subscriptions() -> Vec<Finding> {
    let ours = Url::parse("https://box.example.com/webhook").unwrap();
    let standby = "https://standby.example.com/webhook";
    let number = |configuration: Value| {
        json!({ "webhook_configuration": configuration, "health_status": { "entities": [
            { "entity_type": "WABA", "id": "22" }, { "entity_type": "APP", "id": "33" }] } })
    };
    let here = || number(json!({ "application": ours.as_str() }));
    let apps = |ids: &[&str]| {
        let list: Vec<Value> =
            ids.iter().map(|id| json!({ "whatsapp_business_api_data": { "id": id } })).collect();
        json!({ "data": list })
    };
    let refused = heard(403, json!({ "error": { "code": 10 } }));
    let list = [
        subscription::judge(&here(), &apps(&["33"]), Some(&ours)),
        subscription::judge(&here(), &apps(&["33"]), None),
        subscription::judge(
            &number(json!({ "application": ours.as_str(), "phone_number": standby })),
            &apps(&["33"]),
            Some(&ours),
        ),
        subscription::judge(&here(), &apps(&["44"]), Some(&ours)),
        subscription::judge(&here(), &apps(&[]), Some(&ours)),
        subscription::judge(&number(Value::Null), &apps(&["33"]), Some(&ours)),
        *subscription::answered("where the number's webhooks go", refused).unwrap_err(),
        *subscription::answered("which apps are subscribed", Err(Unheard::Silent)).unwrap_err(),
    ];
    list.map(|finding| finding.about("106540352242922")).to_vec()
}

fn storages() -> Vec<Finding> {
    let of =
        |status: &str| storage::judge(&heard(200, json!({ "storage_configuration": { "status": status } })));
    let list = [
        of("DEFAULT"),
        of("IN_COUNTRY_STORAGE_ENABLED"),
        of("NO_STORAGE_ENABLED"),
        of("SOMETHING_NEW"),
        storage::judge(&heard(400, json!({ "error": { "code": 100 } }))),
    ];
    list.map(|finding| finding.about("106540352242922")).to_vec()
}

fn crms() -> Vec<Finding> {
    let of = |status, signed| crm::judge(&heard(status, Value::Null), signed);
    let list = [
        of(200, true),
        of(200, false),
        of(401, true),
        of(401, false),
        of(400, true),
        of(404, true),
        of(308, true),
        of(429, true),
        of(500, true),
        crm::judge(&Err(Unheard::Refused), true),
    ];
    list.map(|finding| finding.about("primary")).to_vec()
}

fn disks() -> Vec<Finding> {
    let live = |gib: u64, days: u64| Some(Live { bytes: gib * GIB, kept_ms: Some(days * 86_400_000) });
    vec![
        disk::judge(20 * GIB, &store(), live(1, 120)),
        disk::judge(20 * GIB, &store(), live(1, 40)),
        disk::judge(20 * GIB, &store(), live(2, 20)),
        disk::judge(20 * GIB, &store(), live(2, 1)),
        disk::judge(GIB, &store(), live(1, 120)),
        disk::judge(20 * GIB, &store(), Some(Live { bytes: 1 << 20, kept_ms: None })),
        disk::judge(20 * GIB, &store(), None),
        disk::judge(GIB / 100, &store(), None),
    ]
}

fn drives() -> Vec<Finding> {
    let of = |device: &str, kind: Option<&str>, life, end_of_life| {
        let (device, kind) = (device.to_owned(), kind.map(str::to_owned));
        flash::judge(Some(&Wear { device, kind, life, end_of_life }))
    };
    vec![
        of("mmcblk0", Some("MMC"), Some((2, 3)), Some(1)),
        of("mmcblk0", Some("MMC"), Some((2, 8)), Some(1)),
        of("mmcblk0", Some("MMC"), Some((2, 3)), Some(2)),
        of("mmcblk0", Some("MMC"), Some((2, 11)), Some(1)),
        of("mmcblk0", Some("MMC"), Some((2, 3)), Some(3)),
        of("mmcblk1", Some("SD"), None, None),
        of("nvme0n1", None, None, None),
        of("sda", None, None, None),
        flash::judge(None),
    ]
}

#[test]
fn the_words_are_those_that_were_agreed_on() {
    let certificates = Authority::new("Public").cases().into_iter().map(|(_, finding)| finding).collect();
    let mut text = String::new();
    for (check, findings) in [
        (Check::Gateway, gateway()),
        (Check::Certificate, certificates),
        (Check::Clock, clocks()),
        (Check::Dns, names()),
        (Check::Reach, reached()),
        (Check::Token, tokens()),
        (Check::Subscription, subscriptions()),
        (Check::Storage, storages()),
        (Check::Crm, crms()),
        (Check::Disk, disks()),
        (Check::Flash, drives()),
    ] {
        for finding in findings {
            assert_eq!(finding.check, check);
            text.push_str(&report::lines(&finding, false, None));
        }
        text.push('\n');
    }
    if std::env::var_os("WAGATE_BLESS").is_some() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/src/cli/doctor/golden.txt");
        return std::fs::write(file, text).unwrap();
    }
    assert!(text == WORDS, "gateway/src/cli/doctor/golden.txt has other words than these:\n{text}");
}
