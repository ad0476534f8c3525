//! A CRM may answer probes otherwise than deliveries, and two of them tell what both got.

use std::time::{Duration, Instant};

use serde_json::json;
use wagate_simulate::crm::{Behaviour, Crm, CrmOptions, Probe};

use crate::crm::{ANY_PORT, ask, get, record, status};
use crate::graph_calls::post;
use crate::run;

fn crm() -> Crm {
    Crm::start(CrmOptions { health: "/up".to_owned(), ..CrmOptions::new(ANY_PORT) }).unwrap()
}

async fn probe(crm: &Crm, path: &str) -> u16 {
    ask(crm.address(), get(path)).await.unwrap().status().as_u16()
}

const SICK: Behaviour = Behaviour::Status { code: 503, retry_after_s: None };

#[test]
fn probes_are_answered_as_deliveries_are_unless_told_otherwise() {
    run(async {
        let crm = crm();
        assert_eq!((probe(&crm, "/up").await, probe(&crm, "/wagate").await), (200, 200));
        crm.behave(SICK).await;
        assert_eq!((probe(&crm, "/up").await, probe(&crm, "/wagate").await), (503, 503));
        // Well by its own account, and nothing gets through: the other way round, too.
        crm.behave_to(Probe::Health, Some(Behaviour::Ok));
        assert_eq!((probe(&crm, "/up").await, probe(&crm, "/wagate").await), (200, 503));
        assert_eq!(status(&crm, &record(1, "c-A")).await, 503);
        crm.behave(Behaviour::Ok).await;
        crm.behave_to(Probe::Address, Some(Behaviour::Status { code: 405, retry_after_s: None }));
        crm.behave_to(Probe::Health, Some(SICK));
        assert_eq!((probe(&crm, "/up").await, probe(&crm, "/wagate").await), (503, 405));
        assert_eq!(status(&crm, &record(1, "c-A")).await, 200);
        crm.behave_to(Probe::Health, None);
        assert_eq!(probe(&crm, "/up").await, 200);
        assert_eq!((crm.probes(Probe::Health), crm.probes(Probe::Address)), (5, 4));
        // The pages for people are none.
        assert_eq!((probe(&crm, "/").await, crm.probes(Probe::Address)), (200, 4));
        assert_eq!(crm.totals().deliveries, 2);
    });
}

#[test]
fn probes_are_told_by_the_control_port_too() {
    run(async {
        let crm = Crm::start(CrmOptions { control: Some(ANY_PORT), ..CrmOptions::new(ANY_PORT) }).unwrap();
        let told = async |body: &'static str| {
            let request = post("/probes", &[("content-type", "application/json")], body);
            ask(crm.control_address().unwrap(), request).await.unwrap().status().as_u16()
        };
        assert_eq!(told(r#"{"probe":"health","behaviour":{"kind":"status","code":500}}"#).await, 200);
        assert_eq!((probe(&crm, "/health").await, probe(&crm, "/wagate").await), (500, 200));
        assert_eq!(told(r#"{"probe":"health"}"#).await, 200);
        assert_eq!((probe(&crm, "/health").await, told(r#"{"probe":"mood"}"#).await), (200, 400));
    });
}

#[test]
fn a_probe_may_be_slow_or_hang_while_deliveries_are_taken() {
    run(async {
        let crm = crm();
        crm.behave_to(Probe::Health, Some(Behaviour::Slow { ms: 30 }));
        let start = Instant::now();
        assert_eq!(probe(&crm, "/up").await, 200);
        assert!(start.elapsed() >= Duration::from_millis(30));
        crm.behave_to(Probe::Health, Some(Behaviour::Hang));
        let hanging = tokio::time::timeout(Duration::from_millis(100), probe(&crm, "/up")).await;
        assert!(hanging.is_err());
        assert_eq!(status(&crm, &record(1, "c-A")).await, 200);
    });
}

#[test]
fn what_two_of_them_got_is_counted() {
    run(async {
        let (one, other) = (crm(), crm());
        assert_eq!(status(&one, &json!([record(1, "c-A"), record(2, "c-A"), record(3, "c-B")])).await, 200);
        for sequence in 2..=5 {
            assert_eq!(status(&other, &record(sequence, "c-A")).await, 200);
        }
        assert_eq!((one.in_common(&other), other.in_common(&one), one.in_common(&one)), (2, 2, 3));
        let both = one.totals().records + other.totals().records - one.in_common(&other);
        assert_eq!(both, 5);
    });
}
