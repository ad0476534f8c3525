//! Which messages stand otherwise after a turn.

use model::{OutboxId, Standing, StatusWord};

use crate::script::{SECOND, Script, free, settings, template};

fn told(script: &mut Script) -> Vec<(OutboxId, Standing)> {
    std::mem::take(&mut script.stood)
}

#[test]
fn every_change_of_a_standing_is_told_once_and_in_order() {
    let mut script = Script::new(settings(|_| ()));
    let id = script.queue(template(1));
    assert_eq!(told(&mut script), [(id, Standing::Queued), (id, Standing::Sending)]);
    script.accept(id);
    assert_eq!(told(&mut script), [(id, Standing::Accepted)]);
    for (word, expected) in [
        (StatusWord::Sent, Some(Standing::Sent)),
        (StatusWord::Read, Some(Standing::Read)),
        // What was heard before, or comes too late, changes nothing.
        (StatusWord::Read, None),
        (StatusWord::Delivered, None),
    ] {
        script.status(id, word);
        let expected: Vec<_> = expected.map(|standing| (id, standing)).into_iter().collect();
        assert_eq!(told(&mut script), expected, "{word:?}");
    }
}

#[test]
fn what_is_refused_taken_back_or_let_go_is_told() {
    let mut script = Script::new(settings(|_| ()));
    let refused = script.queue(template(1));
    script.refuse(refused, 131_026);
    assert_eq!(told(&mut script).last(), Some(&(refused, Standing::Failed)));
    let held = script.queue(free(2));
    assert_eq!(told(&mut script), [(held, Standing::Queued), (held, Standing::Held)]);
    script.wrote(2);
    script.pass(SECOND);
    assert_eq!(told(&mut script).last(), Some(&(held, Standing::Sending)));
    let back = script.queue(free(3));
    script.turn(|turn| turn.cancel(back).unwrap().unwrap());
    assert_eq!(told(&mut script).last(), Some(&(back, Standing::Cancelled)));
}
