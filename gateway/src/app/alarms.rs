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
        for alarm in snapshot.alarms.iter().filter(|alarm| !said.contains(alarm)) {
            tracing::error!("alarm: {alarm}");
            events.alarm(alarm, true);
        }
        for over in said.iter().filter(|alarm| !snapshot.alarms.contains(alarm)) {
            tracing::info!("over: {over}");
            events.alarm(over, false);
        }
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
