//! Says alarms when they come and when they go, and notices a store that has given up.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::events::Events;
use super::snapshot::Shown;

/// How often the gateway looks at itself.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Looks until `stop`; sets `broken` when only a restart helps.
pub(super) async fn watch(
    shown: Arc<Shown>,
    events: Events,
    broken: watch::Sender<bool>,
    stop: impl Future<Output = ()>,
) {
    let mut stop = std::pin::pin!(stop);
    let mut said: Vec<String> = Vec::new();
    loop {
        let looked = Arc::clone(&shown);
        let Ok(snapshot) = tokio::task::spawn_blocking(move || looked.snapshot()).await else { return };
        say(&said, &snapshot.alarms, &events);
        said = snapshot.alarms;
        if !snapshot.ready {
            broken.send_replace(true);
        }
        tokio::select! {
            () = &mut stop => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

/// Says which alarms have come since the last look, and which have gone.
fn say(before: &[String], now: &[String], events: &Events) {
    for alarm in now.iter().filter(|alarm| !before.contains(alarm)) {
        tracing::error!("alarm: {alarm}");
        events.alarm(alarm, true);
    }
    for over in before.iter().filter(|alarm| !now.contains(alarm)) {
        tracing::info!("over: {over}");
        events.alarm(over, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alarm_is_said_when_it_comes_and_when_it_goes() {
        let events = Events::default();
        let mut listener = events.listen().unwrap();
        let looks: [&[String]; 4] = [&[], &["full".to_owned()], &["full".to_owned(), "old".to_owned()], &[]];
        for two in looks.windows(2) {
            say(two[0], two[1], &events);
        }
        let said = std::iter::from_fn(|| listener.receiver.try_recv().ok());
        let said: Vec<String> = said.map(|event| event.data.to_string()).collect();
        let expected = [("full", true), ("old", true), ("full", false), ("old", false)];
        assert_eq!(said, expected.map(|(text, raised)| format!(r#"{{"raised":{raised},"text":"{text}"}}"#)));
    }
}
