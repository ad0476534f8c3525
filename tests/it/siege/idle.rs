//! Connections that want nothing but a place.

use std::time::Duration;

use super::attacker::{Field, again_and_again, swallow};

/// Connections of the attackers that are being opened at a time.
const OPENING: u32 = 64;
/// Between two of each: 4,900 a second in all.
const BETWEEN: Duration = Duration::from_millis(13);

/// Idle connections, each of an address of its own, as many as can be had; who is dropped comes again.
pub(crate) async fn tcp(field: Field) {
    again_and_again(OPENING, move |_| {
        let field = field.clone();
        async move {
            // Evenly: what overflows the kernel's queue only waits there for a second.
            tokio::time::sleep(BETWEEN).await;
            let Ok(mut stream) = field.tcp(field.address(), field.webhook).await else { return };
            tokio::task::spawn_local(async move { swallow(&mut stream).await });
        }
    })
    .await;
}

/// The same once TLS is there.
pub(crate) async fn tls(field: Field) {
    again_and_again(OPENING, move |_| {
        let field = field.clone();
        async move {
            let Ok(mut stream) = field.tls(field.address()).await else { return };
            field.tally.asked();
            tokio::task::spawn_local(async move { swallow(&mut stream).await });
        }
    })
    .await;
}

/// Connect and leave: one half with a reset, of few addresses and of many.
pub(crate) async fn churn(field: Field) {
    again_and_again(OPENING, move |place| {
        let field = field.clone();
        async move {
            let from = if place % 2 == 0 { field.address() } else { field.nth_address(place) };
            let Ok(stream) = field.tcp(from, field.webhook).await else { return };
            if place % 4 < 2 {
                let _ = stream.set_zero_linger();
            }
        }
    })
    .await;
}

/// Idle connections to the store side, which is on no stranger's network but may be on a LAN.
pub(crate) async fn store_side(field: Field) {
    again_and_again(400, move |_| {
        let field = field.clone();
        async move {
            let Ok(mut stream) = field.tcp(field.address(), field.api).await else { return };
            field.tally.asked();
            tokio::select! {
                () = swallow(&mut stream) => {}
                () = tokio::time::sleep(Duration::from_secs(1)) => {}
            }
        }
    })
    .await;
}
