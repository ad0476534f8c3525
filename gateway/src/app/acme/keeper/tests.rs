//! What is loaded, and what is shown of it.

use ingress::Source;
use policy::renewal::{Kept, Trouble};

use super::super::answers::Answers;
use super::super::folder::Folder;
use super::super::status::State;
use super::*;
use crate::config::Acme;

const ERROR: [&str; 2] = ["it was so", "do this"];

fn acme() -> Acme {
    Acme {
        domains: vec!["box.example.com".to_owned()],
        contact: None,
        directory: "https://acme.example/directory".parse().unwrap(),
        ca: None,
        http_listen: None,
    }
}

async fn load(folder: &Folder) -> (Keeper, watch::Receiver<Status>) {
    let tls = Tls::open(&Source::Managed).unwrap();
    let tools = Tools::new(&acme(), folder.clone(), Answers::new(tls.clone()), false);
    let (sender, status) = watch::channel(Status::default());
    (Keeper::load(tools, tls, Events::default(), sender, Arc::default()).await, status)
}

/// Valid from 1975 to the end of this year.
fn certificate(ends: i32) -> Certificate {
    let key = rcgen::KeyPair::generate().unwrap();
    let wanted = super::super::wanted(&acme());
    let mut parameters = rcgen::CertificateParams::new(wanted.names.clone()).unwrap();
    parameters.not_after = rcgen::date_time_ymd(ends, 12, 31);
    let chain = parameters.self_signed(&key).unwrap().pem();
    // In 1982, so that it lives already.
    let got = WallTime::from_seconds(400_000_000);
    Certificate { wanted, chain, key: key.serialize_pem(), got, account: None }
}

fn renewal(failures: u32, trouble: Option<Trouble>) -> Renewal {
    let wait = Duration::from_secs(3_600);
    Renewal {
        wanted: super::super::wanted(&acme()),
        pace: Kept { failures, trouble, ended: clock::now(), wait, refused: Vec::new() },
        last_error: trouble.map(|_| ERROR.map(str::to_owned)),
        ..Renewal::default()
    }
}

fn may_begin(keeper: &Keeper) -> bool {
    keeper.pace.earliest().unwrap() <= keeper.now()
}

#[tokio::test]
async fn a_certificate_that_is_lost_is_got_again_at_once_unless_that_was_refused() {
    let root = tempfile::tempdir().unwrap();
    let folder = Folder::new(root.path().to_owned());
    folder.put(RENEWAL, &renewal(0, None)).await.unwrap();
    folder.put(CERTIFICATE, &certificate(4095)).await.unwrap();
    assert!(!may_begin(&load(&folder).await.0), "the rest after a success");
    for spoilt in [true, false] {
        if spoilt {
            std::fs::write(root.path().join(CERTIFICATE), "{").unwrap();
        } else {
            folder.remove(CERTIFICATE).await.unwrap();
        }
        let (keeper, status) = load(&folder).await;
        assert!(may_begin(&keeper), "spoilt {spoilt}");
        assert_eq!(status.borrow().state, State::Getting);
    }
    folder.put(RENEWAL, &renewal(1, Some(Trouble::Limited(None)))).await.unwrap();
    let (keeper, status) = load(&folder).await;
    assert!(!may_begin(&keeper));
    assert_eq!(status.borrow().state, State::Missing);
}

#[tokio::test]
async fn an_attempt_is_told_the_key_of_the_certificate_that_is_kept() {
    let root = tempfile::tempdir().unwrap();
    let folder = Folder::new(root.path().to_owned());
    let certificate = certificate(4095);
    folder.put(CERTIFICATE, &certificate).await.unwrap();
    let (mut keeper, _status) = load(&folder).await;
    assert_eq!(keeper.made().await.unwrap().over.as_ref(), Some(&certificate.key));
    // One that isn't on disk is fetched again by its order.
    keeper.held.as_mut().unwrap().unkept = true;
    assert_eq!(keeper.made().await.unwrap().over, None);
}

#[tokio::test]
async fn a_failure_is_shown_only_while_a_renewal_is_due() {
    let root = tempfile::tempdir().unwrap();
    let folder = Folder::new(root.path().to_owned());
    folder.put(RENEWAL, &renewal(1, Some(Trouble::Unreachable))).await.unwrap();
    for (ends, state, failures, error) in
        [(2000, State::Failing, 1, Some(ERROR[0])), (4095, State::Valid, 0, None)]
    {
        folder.put(CERTIFICATE, &certificate(ends)).await.unwrap();
        let (keeper, status) = load(&folder).await;
        keeper.metrics.failing.set(1);
        keeper.publish(false);
        let shown = status.borrow();
        assert_eq!((shown.state, shown.failures, shown.last_error.as_deref()), (state, failures, error));
        assert_eq!(
            (shown.next.is_some(), keeper.metrics.failing.get()),
            (error.is_some(), i64::from(failures))
        );
        // The pace goes on from there all the same.
        assert_eq!(keeper.pace.failures(), 1);
    }
}
