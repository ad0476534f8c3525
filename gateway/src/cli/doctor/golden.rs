//! Every line that isn't good news, in one place, so that a person can read them one after the other:
//! `golden.txt`. `WAGATE_BLESS=1 cargo test -p wagate --lib doctor` writes it anew; read the difference.

use std::time::Duration;

use egress::graph::CanSend;
use egress::{Probe, Storage};
use model::WallTime;
use reqwest::Url;
use serde_json::{Value, json};

use super::certificate::{Authority, clients};
use super::disk::{Live, tests::store};
use super::dns::{Found, Whose};
use super::finding::{Check, Finding};
use super::graph::{self, Trouble};
use super::others::{self, Group};
use super::unheard::{Side, Unheard};
use super::world::{Gateway, Heard};
use super::{board, clock, crm, disk, dns, flash, reach, report, running, storage, subscription, token};
use crate::app::wear::Wear;
use crate::config::{self, Config};

const WORDS: &str = include_str!("golden.txt");
const GIB: u64 = 1 << 30;

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
    use reach::tests::{blocked, failed, health, neutral, number, payment, probed, refused};
    let meta = |probe, status| reach::judge_whatsapp(&probe, Some(&status), health()).about("meta");
    let backup = |probe| reach::judge_whatsapp(&probe, None, health()).about("backup");
    let crm = |heard| reach::judge_crm(&heard).about("primary");
    let good = |ms| probed(Probe::Good, Some(200), ms);
    let well = || number(CanSend::Available, Vec::new());
    let mut list = vec![
        meta(good(85), well()),
        meta(good(1_100), well()),
        meta(good(2_100), well()),
        meta(good(85), Err(Trouble::Unheard(Unheard::Broken))),
        meta(blocked(), number(CanSend::Blocked, vec![payment()])),
        meta(good(85), number(CanSend::Limited, Vec::new())),
        meta(neutral(401), Err(refused(401, 190))),
        meta(failed(Some(503), "503: no"), well()),
        meta(failed(Some(200), "200: isn't Graph's answer"), well()),
        backup(neutral(401)),
        backup(neutral(403)),
        backup(neutral(429)),
        crm(heard(404, Value::Null)),
        crm(heard(502, Value::Null)),
    ];
    let whys = [
        ("no answer came in time", Unheard::Silent(took(5_000))),
        ("no connection in time", Unheard::Unconnected(took(5_000))),
        ("no connection: Connection refused (os error 111)", Unheard::Refused),
        ("no connection: Network is unreachable (os error 101)", Unheard::NoWay),
        ("no connection: the name can't be resolved: it has no address", Unheard::NoName),
        ("no whole answer came: connection closed before message completed", Unheard::Broken),
        ("no connection: invalid peer certificate: Expired", Unheard::WrongTime),
        ("no connection: invalid peer certificate: NotValidForName", Unheard::WrongName),
        ("no connection: invalid peer certificate: UnknownIssuer", Unheard::Untrusted),
        ("no connection: received corrupt message", Unheard::Tls("received corrupt message".to_owned())),
        ("url and path of the endpoint make no URL", Unheard::Unsendable(String::new())),
        ("no whole answer came: invalid HTTP version parsed", Unheard::NotHttp),
        ("no connection: something went wrong", Unheard::Other("something went wrong".to_owned())),
    ];
    for (reason, why) in whys {
        list.push(meta(failed(None, reason), well()));
        if why.next(Side::Crm) != why.next(Side::Internet) {
            list.push(crm(Err(why)));
        }
    }
    let mut down = [crm(Err(Unheard::Refused)), backup(good(85))];
    let endpoints = "[[crm.endpoints]]\nname = \"primary\"\nurl = \"http://crm.store.lan\"\n\
                     [[crm.endpoints]]\nname = \"backup\"\nurl = \"http://backup.store.lan\"\n";
    others::tell(&mut down, &Group::all(&configured(endpoints)));
    list.extend(down);
    list
}

/// A configuration that is accepted, with `more` in it.
fn configured(more: &str) -> Config {
    let text = format!(
        "[webhook]\nverify_token = \"v\"\napp_secret = \"s\"\ntls = {{ self_signed = true }}\n\
         [api]\ntoken = \"0123456789abcdef0123456789abcdef\"\n{more}"
    );
    let source = config::Source::new(std::path::Path::new("/nowhere/wagate.toml"), text);
    config::parse(source, &|_| None).unwrap().config
}

fn tokens() -> Vec<Finding> {
    const NOW: WallTime = WallTime(1_795_305_600_000);
    use reach::tests::refused;
    let both = ["whatsapp_business_messaging", "whatsapp_business_management"];
    let info =
        |issued, expires, access, scopes: &[&str]| token::tests::token(NOW, issued, expires, access, scopes);
    let of = |issued, expires, access, scopes: &[&str]| {
        token::judge(&Ok(info(issued, expires, access, scopes)), NOW)
    };
    let no = |http, code| token::judge(&Err(refused(http, code)), NOW);
    let list = [
        of(-3, 0, 0, &both),
        of(-3, 60, 0, &both),
        of(-45, 0, 0, &both),
        of(-3, 5, 0, &both),
        of(-3, 0, 6, &both),
        of(-3, 0, 0, &both[..1]),
        of(-3, 0, 0, &both[1..]),
        token::judge(&Ok(egress::TokenInfo { is_valid: false, ..info(-3, 0, 0, &both) }), NOW),
        no(401, 190),
        no(403, 10),
        no(400, 4),
        no(500, 2),
        token::judge(&Err(Trouble::Unheard(Unheard::Silent(took(5_000)))), NOW),
    ];
    list.map(|finding| finding.about("meta")).to_vec()
}

fn subscriptions() -> Vec<Finding> {
    use subscription::tests::{apps, callbacks};
    let ours = Url::parse("https://box.example.com/webhook").unwrap();
    let here = || callbacks("", "", ours.as_str());
    let there = callbacks("https://standby.example.com/webhook", "", ours.as_str());
    let of = |callbacks: &egress::Callbacks, ids: &[&str], ours: Option<&Url>| {
        subscription::judge(Some("33"), callbacks, &apps(ids), ours)
    };
    let refused: Result<(), _> = Err(reach::tests::refused(403, 10));
    let unheard: Result<(), _> = Err(Trouble::Unheard(Unheard::Silent(took(5_000))));
    let list = [
        of(&here(), &["33"], Some(&ours)),
        subscription::judge(None, &here(), &apps(&["33"]), Some(&ours)),
        of(&here(), &["33"], None),
        of(&there, &["33"], Some(&ours)),
        of(&here(), &["44"], Some(&ours)),
        of(&here(), &[], Some(&ours)),
        of(&callbacks("", "", ""), &["33"], Some(&ours)),
        *subscription::known("where its webhooks go", refused).unwrap_err(),
        *subscription::known("which apps are subscribed", unheard).unwrap_err(),
        Finding::skip(Check::Subscription, graph::no_meta(&provider(), NUMBER)),
        Finding::skip(Check::Subscription, graph::no_meta(&configured(""), NUMBER)),
    ];
    list.map(|finding| finding.about(NUMBER)).to_vec()
}

const NUMBER: &str = "106540352242922";

/// With an endpoint of a provider alone.
fn provider() -> Config {
    configured(
        "[[numbers]]\nphone_number_id = \"106540352242922\"\n[[whatsapp.endpoints]]\nname = \"backup\"\n\
         url = \"https://waba-v2.360dialog.io\"\nheader = \"D360-API-KEY\"\ntoken = \"k\"\npath = \"/messages\"\n",
    )
}

fn storages() -> Vec<Finding> {
    let list = [
        Ok(Storage::Default),
        Ok(Storage::InCountry { region: None }),
        Ok(Storage::NoStorage { retention_minutes: Some(60) }),
        Ok(Storage::Other("SOMETHING_NEW".to_owned())),
        Err(reach::tests::refused(400, 100)),
        Err(Trouble::Unheard(Unheard::Refused)),
    ];
    list.map(|heard| storage::judge(&heard).about(NUMBER)).to_vec()
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

fn boards() -> Vec<Finding> {
    let machine = |state: &str, note: Value| json!({ "version": "0.2.0", "slot": "b", "id": "wagate-7f3a", "state": state, "note": note });
    let time = |synchronized: bool, trouble: Value| {
        json!({ "synchronized": synchronized, "trouble": trouble,
            "servers": [{ "state": "answered" }, { "state": "silent" }] })
    };
    let update = |stage: &str, detail: &str, reboot: bool| json!({ "stage": stage, "detail": detail, "version": "0.3.0", "reboot": reboot });
    let of = |machine: Value, time: Value, update: Value| {
        board::judge(&Gateway::Runs(json!({ "machine": machine, "time": time, "update": update })))
    };
    let well = || (machine("committed", Value::Null), time(true, Value::Null));
    let mut all = board::judge(&Gateway::Nowhere);
    all.extend(of(Value::Null, Value::Null, Value::Null));
    all.extend(of(well().0, well().1, Value::Null));
    let rolled_back = machine("committed", json!("the version in slot a was given up"));
    let trouble = time(false, json!("the time servers disagree: name others in `clock.servers`"));
    all.extend(of(rolled_back, trouble, update("failed", "no key that this box trusts has signed it", true)));
    all.extend(of(
        machine("trial", Value::Null),
        time(false, Value::Null),
        update("waiting", "no connection", true),
    ));
    for job in [
        update("activated", "", false),
        update("activated", "", true),
        update("cancelled", "", true),
        update("verifying", "", true),
    ] {
        all.extend(of(well().0, well().1, job).pop());
    }
    all
}

fn client_roots() -> Vec<Finding> {
    let now = WallTime::from_seconds(1_795_305_600);
    let root = |name: &str, days: i64| ingress::Root {
        name: name.to_owned(),
        expires: Some(WallTime(now.0 + days * 86_400_000)),
    };
    let of = |roots, required| clients::judge(&Ok(roots), now, required);
    vec![
        of(vec![root("old", -3), root("Meta Outbound API CA", 900)], true),
        of(vec![root("Meta Outbound API CA", 29)], true),
        of(vec![root("Meta Outbound API CA", 29)], false),
        of(vec![root("Meta Outbound API CA", -1)], true),
        clients::judge(&Err("cannot read ca.pem: No such file or directory".to_owned()), now, true),
    ]
}

#[test]
fn the_words_are_those_that_were_agreed_on() {
    let certificates = Authority::new("Public").cases().into_iter().map(|(_, finding)| finding);
    let mut text = String::new();
    for (check, findings) in [
        (Check::Gateway, gateway()),
        (Check::Certificate, certificates.chain(client_roots()).collect()),
        (Check::Clock, clocks()),
        (Check::Dns, names()),
        (Check::Reach, reached()),
        (Check::Token, tokens()),
        (Check::Subscription, subscriptions()),
        (Check::Storage, storages()),
        (Check::Crm, crms()),
        (Check::Disk, disks()),
        (Check::Flash, drives()),
        (Check::Board, boards()),
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
