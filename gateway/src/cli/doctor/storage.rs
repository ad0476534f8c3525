//! How long Meta keeps what it couldn't deliver.

use egress::Storage;
use futures_util::future::join_all;

use super::finding::{Check, Finding};
use super::graph::{self, SEE_REACH, Trouble};
use super::world::World;

pub(super) async fn check(world: &World) -> Vec<Finding> {
    let numbers = &world.config.numbers;
    if numbers.is_empty() {
        return vec![Finding::skip(Check::Storage, "no [[numbers]] are configured")];
    }
    join_all(numbers.iter().map(|number| async move {
        let id = &number.phone_number_id;
        let finding = match graph::meta_of(world, id) {
            Some((endpoint, graph)) => judge(&graph::heard(endpoint, graph.storage(id).await)),
            None => Finding::skip(Check::Storage, graph::no_meta(&world.config, id)),
        };
        finding.about(id)
    }))
    .await
}

/// What Meta says of a number.
pub(super) fn judge(heard: &Result<Storage, Trouble>) -> Finding {
    let skip = |why: &str| {
        Finding::skip(Check::Storage, format!("how long Meta keeps its messages isn't known: {why}"))
    };
    match heard {
        Ok(Storage::NoStorage { .. }) => {
            Finding::warn(Check::Storage, "it has No Storage: Meta keeps undelivered webhooks and media one hour only")
                .detail("A box or line that is down for longer loses what customers write meanwhile. Otherwise it is days.")
                .next("unless the law asks for it, switch it off at Meta; else give the box a standby and a second line")
                .fact("status", "NO_STORAGE_ENABLED")
        }
        Ok(Storage::InCountry { .. }) => {
            Finding::ok(Check::Storage, "Meta keeps for days what it can't deliver, in the country that was chosen")
                .fact("status", "IN_COUNTRY_STORAGE_ENABLED")
        }
        Ok(Storage::Default) => {
            Finding::ok(Check::Storage, "Meta keeps for days what it can't deliver").fact("status", "DEFAULT")
        }
        Ok(Storage::Other(_)) => skip("Meta names a setting that this version doesn't know"),
        Err(Trouble::Refused(refusal)) => skip(&graph::refusal(refusal).0),
        Err(Trouble::Unheard(why)) => skip(&why.words()).next(SEE_REACH),
    }
}

#[cfg(test)]
mod tests {
    use model::Refusal;

    use super::super::finding::State;
    use super::super::unheard::Unheard;
    use super::*;

    #[test]
    fn no_storage_is_worth_a_warning_and_what_is_unknown_is_left_out() {
        let refusal = Refusal { code: Some(10), http: Some(403), ..Refusal::default() };
        for (heard, state) in [
            (Ok(Storage::NoStorage { retention_minutes: Some(60) }), State::Warn),
            (Ok(Storage::InCountry { region: None }), State::Ok),
            (Ok(Storage::Default), State::Ok),
            (Ok(Storage::Other("SOMETHING".to_owned())), State::Skip),
            (Err(Trouble::Refused(refusal)), State::Skip),
            (Err(Trouble::Unheard(Unheard::NotGraph)), State::Skip),
        ] {
            assert_eq!(judge(&heard).state, state, "{heard:?}");
        }
    }
}
