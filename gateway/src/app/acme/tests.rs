//! Attempts against an authority that lives in this process, so that each of its answers and each step on the disk can
//! be made to fail, and the process to die there.

mod authority;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ingress::{Source, Tls};
use instant_acme::{CertificateIdentifier, HttpClient};
use model::WallTime;
use policy::renewal::Trouble;
use rustls::pki_types::Der;

use self::authority::Authority;
use super::answers::{Answers, Proof};
use super::attempt::{Attempt, Got, NONCES};
use super::failure::{Failure, Forget};
use super::folder::{Folder, Found, Hook};
use super::http::Caller;
use super::kept::{ACCOUNT, Account, CERTIFICATE, Certificate, ORDER, Order, Wanted};

const NAMES: [&str; 2] = ["box.example.com", "shop.example.com"];

fn wanted(directory: &str) -> Wanted {
    Wanted { directory: directory.to_owned(), names: NAMES.map(str::to_owned).to_vec() }
}

fn attempt_of(authority: &Authority, folder: Folder, wanted: Wanted) -> Attempt {
    let speaks = authority.clone();
    Attempt {
        wanted,
        contact: Some("mailto:it@example.com".to_owned()),
        folder,
        answers: Answers::new(Tls::open(&Source::Managed).unwrap()),
        caller: Caller::for_tests(),
        http: Box::new(move || Box::new(speaks.clone()) as Box<dyn HttpClient>),
        proof: Proof::Tls,
        replaces: None,
        over: None,
        now: || WallTime(0),
    }
}

async fn attempt_at(authority: &Authority, folder: Folder, wanted: Wanted) -> Result<Got, Failure> {
    attempt_of(authority, folder, wanted).run().await
}

async fn attempt(authority: &Authority, folder: &Path) -> Result<Got, Failure> {
    attempt_at(authority, Folder::new(folder.to_owned()), wanted(authority::DIRECTORY)).await
}

fn kept(folder: &Path) -> Option<Certificate> {
    match Folder::new(folder.to_owned()).read(CERTIFICATE) {
        Found::There(certificate) => Some(certificate),
        Found::Nothing => None,
        Found::Spoilt(why) | Found::Unread(why) => panic!("a file was left spoilt: {why}"),
    }
}

/// Fails at the step of this number on the disk, and at all that follow while the process is to be dead.
fn refusing(at: usize, dead: bool) -> (Hook, Arc<AtomicUsize>) {
    let steps = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&steps);
    let hook: Hook = Arc::new(move |_| {
        let step = counted.fetch_add(1, Ordering::Relaxed);
        if step == at || dead && step > at { Err(io::Error::other("refused")) } else { Ok(()) }
    });
    (hook, steps)
}

#[tokio::test(start_paused = true)]
async fn a_certificate_is_got_kept_and_its_order_forgotten() {
    let (authority, folder) = (Authority::default(), tempfile::tempdir().unwrap());
    let got = attempt(&authority, folder.path()).await.unwrap();
    assert!(got.unkept.is_none() && kept(folder.path()).unwrap() == got.certificate);
    let held = Folder::new(folder.path().to_owned());
    assert!(matches!(held.read::<Order>(ORDER), Found::Nothing));
    let Found::There(account) = held.read::<Account>(ACCOUNT) else { panic!("no account") };
    assert_eq!(account.contact.as_deref(), Some("mailto:it@example.com"));
    assert_eq!((authority.accounts(), authority.orders()), (1, 1));
    attempt(&authority, folder.path()).await.unwrap();
    assert_eq!((authority.accounts(), authority.orders()), (1, 2), "the account stays");
    assert_ne!(kept(folder.path()).unwrap().key, got.certificate.key, "a new key each time");
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_refuses_at_any_step_costs_no_second_account_or_order() {
    let steps = {
        let (authority, folder) = (Authority::default(), tempfile::tempdir().unwrap());
        let (hook, steps) = refusing(usize::MAX, false);
        let folder = Folder::with_hook(folder.path().to_owned(), hook);
        attempt_at(&authority, folder, wanted(authority::DIRECTORY)).await.unwrap();
        steps.load(Ordering::Relaxed)
    };
    assert!(steps > 25, "{steps}");
    for dead in [false, true] {
        for at in 0..steps {
            let (authority, folder) = (Authority::default(), tempfile::tempdir().unwrap());
            let hooked = Folder::with_hook(folder.path().to_owned(), refusing(at, dead).0);
            let first = attempt_at(&authority, hooked, wanted(authority::DIRECTORY)).await;
            if let Ok(Got { unkept: Some(failure), .. }) | Err(failure) = &first {
                assert_eq!(failure.trouble, Trouble::Local, "step {at}: {failure:?}");
            }
            let before = kept(folder.path());
            let got = attempt(&authority, folder.path()).await.unwrap();
            assert!(got.unkept.is_none() && kept(folder.path()).unwrap() == got.certificate);
            assert_eq!(authority.accounts(), 1, "step {at}, dead {dead}");
            // Between the answer to an order and the disk that keeps it nothing can help; and one that is kept whole
            // is renewed here because it is asked for.
            let more = usize::from(before.is_some());
            assert!(authority.orders() <= 2 + more, "step {at}, dead {dead}: {} orders", authority.orders());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_line_that_breaks_at_any_call_is_gone_on_from() {
    let calls = {
        let (authority, folder) = (Authority::default(), tempfile::tempdir().unwrap());
        attempt(&authority, folder.path()).await.unwrap();
        authority.calls()
    };
    assert!(calls > 10, "{calls}");
    for answered in [false, true] {
        for at in 0..calls {
            let (authority, folder) = (Authority::default(), tempfile::tempdir().unwrap());
            authority.break_line_at(at, answered);
            if let Err(failure) = attempt(&authority, folder.path()).await {
                assert_eq!(failure.trouble, Trouble::Unreachable, "call {at}: {failure:?}");
                attempt(&authority, folder.path()).await.unwrap();
            }
            assert_eq!(authority.accounts(), 1, "call {at}");
            // An order whose answer is lost is one that nobody knows of.
            let lost = usize::from(answered && authority.lost_an_order());
            assert_eq!(authority.orders(), 1 + lost, "call {at}, answered {answered}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_order_for_other_names_or_of_another_authority_is_not_gone_on_with() {
    let (authority, folder) = (Authority::default(), tempfile::tempdir().unwrap());
    // Dies before it is signed.
    authority.refuse("/finalize", "serverInternal", 1);
    attempt(&authority, folder.path()).await.unwrap_err();
    let held = || Folder::new(folder.path().to_owned());
    assert!(matches!(held().read::<Order>(ORDER), Found::There(_)));
    let mut other = wanted(authority::DIRECTORY);
    other.names.pop();
    attempt_at(&authority, held(), other).await.unwrap();
    assert_eq!((authority.accounts(), authority.orders()), (1, 2));
    let got = attempt_at(&authority, held(), wanted("https://other.example/directory")).await.unwrap();
    assert_eq!(got.certificate.wanted.directory, "https://other.example/directory");
    assert_eq!(authority.accounts(), 2, "each authority has its own account");
}

#[tokio::test(start_paused = true)]
async fn what_is_spoilt_on_either_side_is_made_anew() {
    let (authority, folder) = (Authority::default(), tempfile::tempdir().unwrap());
    attempt(&authority, folder.path()).await.unwrap();
    for (file, accounts) in [(ORDER, 1), (ACCOUNT, 2), (CERTIFICATE, 2)] {
        std::fs::write(folder.path().join(file), "{\"version\": 1, \"cont").unwrap();
        attempt(&authority, folder.path()).await.unwrap();
        assert_eq!(authority.accounts(), accounts, "{file}");
    }
    // The authority has forgotten the account.
    authority.refuse("/order", "accountDoesNotExist", 1);
    attempt(&authority, folder.path()).await.unwrap();
    assert_eq!(authority.accounts(), 3);
    authority.refuse("/order", "accountDoesNotExist", 2);
    let failure = attempt(&authority, folder.path()).await.unwrap_err();
    assert_eq!((failure.forget, authority.accounts()), (Forget::Account, 4), "once");
}

#[tokio::test(start_paused = true)]
async fn an_account_that_the_disk_does_not_give_out_is_not_replaced() {
    let (authority, folder) = (Authority::default(), tempfile::tempdir().unwrap());
    attempt(&authority, folder.path()).await.unwrap();
    // A folder in its place can't be read by anybody, root included.
    let (file, aside) = (folder.path().join(ACCOUNT), folder.path().join("aside"));
    std::fs::rename(&file, &aside).unwrap();
    std::fs::create_dir(&file).unwrap();
    let failure = attempt(&authority, folder.path()).await.unwrap_err();
    assert_eq!((failure.trouble, failure.forget), (Trouble::Local, Forget::Nothing), "{failure:?}");
    assert!(failure.words.contains("tls/acme/account.json"), "{failure:?}");
    assert_eq!((authority.accounts(), authority.orders()), (1, 1));
    std::fs::remove_dir(&file).unwrap();
    std::fs::rename(&aside, &file).unwrap();
    attempt(&authority, folder.path()).await.unwrap();
    assert_eq!((authority.accounts(), authority.orders()), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn an_order_that_may_not_replace_is_made_without_and_costs_no_account() {
    let (authority, folder) = (Authority::default(), tempfile::tempdir().unwrap());
    let account = attempt(&authority, folder.path()).await.unwrap().certificate.account.unwrap();
    let replacing = async |account: &str| {
        let held = Folder::new(folder.path().to_owned());
        let mut attempt = attempt_of(&authority, held, wanted(authority::DIRECTORY));
        let identifier = CertificateIdentifier::new(Der::from_slice(b"above"), Der::from_slice(b"serial"));
        attempt.replaces = Some((identifier, account.to_owned()));
        attempt.run().await
    };
    replacing(&account).await.unwrap();
    assert_eq!((authority.replacing(), authority.orders()), (1, 2));
    // What Boulder says to an account that didn't order what is replaced.
    for (kind, replaced) in [("unauthorized", 2), ("alreadyReplaced", 3), ("serverInternal", 4)] {
        authority.refuse_to_replace(kind);
        replacing(&account).await.unwrap();
        assert_eq!((authority.replacing(), authority.accounts()), (replaced, 1), "{kind}");
    }
    authority.refuse_to_replace("rateLimited");
    let failure = replacing(&account).await.unwrap_err();
    assert_eq!((failure.trouble, authority.replacing()), (Trouble::Limited(None), 5));
    // Its account is lost: another one doesn't ask.
    std::fs::remove_file(folder.path().join(ACCOUNT)).unwrap();
    let got = replacing(&account).await.unwrap();
    assert_ne!(got.certificate.account, Some(account));
    assert_eq!((authority.replacing(), authority.accounts()), (5, 2));
}

#[tokio::test(start_paused = true)]
async fn an_order_that_is_over_and_stayed_brings_no_old_certificate() {
    let (authority, folder) = (Authority::default(), tempfile::tempdir().unwrap());
    let hook: Hook =
        Arc::new(|step| if step == "remove it" { Err(io::Error::other("refused")) } else { Ok(()) });
    let stays = Folder::with_hook(folder.path().to_owned(), hook);
    let got = attempt_at(&authority, stays, wanted(authority::DIRECTORY)).await.unwrap();
    let held = || Folder::new(folder.path().to_owned());
    assert!(got.unkept.is_none() && matches!(held().read::<Order>(ORDER), Found::There(_)));
    let mut attempt = attempt_of(&authority, held(), wanted(authority::DIRECTORY));
    attempt.over = Some(got.certificate.key.clone());
    let renewed = attempt.run().await.unwrap();
    assert_ne!(renewed.certificate.key, got.certificate.key);
    assert!(authority.orders() == 2 && matches!(held().read::<Order>(ORDER), Found::Nothing));
}

#[tokio::test(start_paused = true)]
async fn each_no_is_told_and_an_order_that_is_lost_is_let_go() {
    for (path, kind, trouble, orders) in [
        ("/order", "rateLimited", Trouble::Limited(None), 1),
        ("/order", "rejectedIdentifier", Trouble::Refused, 1),
        ("/finalize", "badCSR", Trouble::Refused, 2),
        ("/finalize", "serverInternal", Trouble::Unreachable, 1),
        ("/chain", "malformed", Trouble::Refused, 2),
    ] {
        let (authority, folder) = (Authority::default(), tempfile::tempdir().unwrap());
        authority.refuse(path, kind, 1);
        let failure = attempt(&authority, folder.path()).await.unwrap_err();
        assert_eq!(failure.trouble, trouble, "{path} {kind}: {failure:?}");
        assert!(failure.words.contains(kind), "{failure:?}");
        attempt(&authority, folder.path()).await.unwrap();
        assert_eq!(authority.orders(), orders, "{path} {kind}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_nonce_that_is_refused_is_no_answer_and_the_order_stays() {
    for path in ["/account", "/order", "/names", "/proof", "/order/", "/finalize", "/chain"] {
        let (authority, folder) = (Authority::default(), tempfile::tempdir().unwrap());
        authority.refuse(path, "badNonce", NONCES - 1);
        attempt(&authority, folder.path()).await.unwrap();
        assert_eq!(authority.orders(), 1, "{path}: once more was enough");

        let (authority, folder) = (Authority::default(), tempfile::tempdir().unwrap());
        authority.refuse(path, "badNonce", NONCES);
        let failure = attempt(&authority, folder.path()).await.unwrap_err();
        assert_eq!(failure.trouble, Trouble::Unreachable, "{path}: {failure:?}");
        assert!(failure.words.contains("badNonce"), "{path}: {failure:?}");
        attempt(&authority, folder.path()).await.unwrap();
        assert_eq!((authority.accounts(), authority.orders()), (1, 1), "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_chain_that_is_somebody_elses_is_not_taken() {
    let (authority, folder) = (Authority::default(), tempfile::tempdir().unwrap());
    authority.give_others();
    let failure = attempt(&authority, folder.path()).await.unwrap_err();
    assert!(failure.words.contains("something else"), "{failure:?}");
    assert!(kept(folder.path()).is_none());
}
