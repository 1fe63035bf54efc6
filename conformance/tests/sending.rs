//! However few messages may be sent at once, a queue is worked off without pauses; with none at all it is held.

use anyhow::{Result, ensure};
use conformance::bench::{Content, Rig};
use conformance::node::tilts_binary;
use conformance::stage::Kind;

#[tokio::test(flavor = "multi_thread")]
async fn one_place_sends_one_message_after_the_other_without_waiting() -> Result<()> {
    let mut rig = Rig::set_up(&tilts_binary()?, Kind::Rsa, 2048).await?;
    let run = rig.run(40, (Content::Noise, 1024), 1).await?;
    // A place that became free unseen once meant a pause of thirty seconds.
    ensure!(run.seconds < 25.0, "40 messages took {:.0} s", run.seconds);
    Ok(())
}
