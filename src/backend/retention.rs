//! The hourly round: octets of payloads whose time is over, and files that nobody names. It may take minutes, and holds up no deadline.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use super::Office;
use super::deadlines::is_due;
use crate::clock::{SignedDuration, Timestamp};
use crate::store::{self, SETTLED};

/// How often.
const ROUND: SignedDuration = SignedDuration::from_hours(1);
/// Whether it is time is asked no more often than this, and no more rarely than the other: a clock may be set.
const LOOK: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(60));
/// Rows at a time.
const BATCH: u32 = 100;

/// Goes round until `stop` is ready, for the first time at once.
pub async fn run(office: Arc<Office>, stop: impl Future<Output = ()>) {
    let mut stop = std::pin::pin!(stop);
    let mut last = None;
    loop {
        let next = last.and_then(|last: Timestamp| last.checked_add(ROUND).ok());
        let pause = next.map_or(LOOK.0, |next| office.clock.until(Some(next), LOOK.0, LOOK.1));
        tokio::select! {
            biased;
            () = &mut stop => return,
            () = tokio::time::sleep(pause) => {}
        }
        let now = office.clock.now();
        if last.is_none_or(|last| is_due(now, last, ROUND)) {
            last = Some(now);
            if let Err(error) = round(&office).await {
                tracing::error!(%error, "payloads whose time is over");
            }
        }
    }
}

async fn round(office: &Office) -> Result<(), store::Error> {
    match office.store.collect_files(SETTLED).await {
        Ok(0) => {}
        Ok(files) => tracing::info!(files, "payload files removed that no row names"),
        Err(error) => {
            tracing::warn!(%error, "payload files that no row names are looked for again in an hour")
        }
    }
    let payloads = office.store.drop_payloads(&office.retention, office.clock.now(), BATCH).await?;
    if payloads > 0 {
        tracing::info!(payloads, "octets of payloads let go, their time is over");
    }
    Ok(())
}
