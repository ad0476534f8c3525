use std::path::Path;

use super::*;
use crate::app::fake;
use crate::app::machine::Machine;

fn store(folder: &Path) -> Arc<Store> {
    Arc::clone(&fake::shown(folder, Machine::new(None)).store)
}

fn deed(target: &str) -> Deed {
    Deed {
        client: "crm".into(),
        address: Some("::ffff:192.168.1.7".parse().unwrap()),
        action: "POST /v1/deadletters/{id}/retry".to_owned(),
        target: Some(target.to_owned()),
    }
}

#[tokio::test]
async fn an_entry_is_there_before_its_deed_and_gets_its_outcome_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let audit = Audit::open(Arc::clone(&store)).unwrap();
    assert_eq!(audit.read(None, 10).unwrap(), []);
    let one = audit.begin(deed("1"), WRITE_WITHIN).await.unwrap();
    let two = audit.begin(deed("2"), WRITE_WITHIN).await.unwrap();
    let begun = audit.read(None, 10).unwrap();
    assert_eq!(
        begun.iter().map(|entry| (entry.number, entry.kept.status)).collect::<Vec<_>>(),
        [(1, None), (2, None)]
    );
    assert_eq!(begun[0].kept.address, Some("192.168.1.7".parse().unwrap()), "as people write it");
    two.end(202, Some("another".to_owned())).await;
    let read = audit.read(None, 10).unwrap();
    assert_eq!((read[0].kept.status, read[1].kept.status), (None, Some(202)));
    assert_eq!(read[1].kept.target.as_deref(), Some("another"));
    drop(one);
    assert_eq!(audit.read(Some(1), 10).unwrap().len(), 1);
    assert_eq!(audit.read(None, 1).unwrap()[0].number, 2, "the newest, where nothing is said");
    // Whoever opens it goes on behind them, also with gaps between.
    store
        .transact_and_wait(
            Transaction { changes: vec![put(70_000, &read[0].kept)], ..Transaction::default() },
            clock::now(),
        )
        .unwrap();
    let again = Audit::open(Arc::clone(&store)).unwrap();
    again.begin(deed("3"), WRITE_WITHIN).await.unwrap();
    assert_eq!(
        again.read(Some(2), 10).unwrap().iter().map(|entry| entry.number).collect::<Vec<_>>(),
        [70_000, 70_001]
    );
}

#[tokio::test]
async fn the_oldest_go_one_by_one() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let kept = Kept {
        at_ms: 1,
        client: "crm".into(),
        address: None,
        action: "x".into(),
        target: None,
        status: None,
    };
    let changes = (1..=ENTRIES_MAX).map(|number| put(number, &kept));
    let full = Transaction { changes: changes.collect(), ..Transaction::default() };
    store.transact_and_wait(full, clock::now()).unwrap();
    let audit = Audit::open(Arc::clone(&store)).unwrap();
    for number in 1..=3 {
        assert_eq!(audit.read(Some(0), 1).unwrap()[0].number, number);
        audit.begin(deed("1"), WRITE_WITHIN).await.unwrap();
    }
    let all = audit.read(Some(0), usize::MAX).unwrap();
    assert_eq!(all.len() as u64, ENTRIES_MAX);
    assert_eq!(all.last().unwrap().number, ENTRIES_MAX + 3);
}

#[tokio::test]
async fn what_a_refused_writing_was_to_remove_goes_with_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let audit = Audit::open(Arc::clone(&store)).unwrap();
    let first = audit.begin(deed("1"), WRITE_WITHIN).await.unwrap();
    // As if the writing of 10,001 to 10,020 had been refused: their numbers are burned, and 1 to 20 are still there.
    let changes = (1..=20).chain([ENTRIES_MAX + 20]).map(|number| put(number, &first.kept));
    let left = Transaction { changes: changes.collect(), ..Transaction::default() };
    store.transact_and_wait(left, clock::now()).unwrap();
    let audit = Audit::open(Arc::clone(&store)).unwrap();
    for oldest in [17, 20 + ENTRIES_MAX] {
        audit.begin(deed("2"), WRITE_WITHIN).await.unwrap();
        assert_eq!(audit.read(Some(0), 1).unwrap()[0].number, oldest);
    }
}

#[tokio::test]
async fn a_store_that_is_closed_takes_none_and_the_number_is_burned() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let audit = Audit::open(Arc::clone(&store)).unwrap();
    store.close();
    assert!(audit.begin(deed("1"), WRITE_WITHIN).await.is_err());
    assert_eq!(*audit.0.next.lock().await, 2);
}
