//! `kill -9` at any instant loses nothing that was acknowledged and doubles nothing (promise 4).
//!
//! `TILTS_KILLS` says how many kills (8 when absent), `TILTS_SEED` repeats the moments and victims of a run.

use std::time::{SystemTime, UNIX_EPOCH};

use conformance::crash::Trial;
use conformance::node::tilts_binary;
use conformance::random::setting;

#[tokio::test(flavor = "multi_thread")]
async fn kills_lose_nothing_and_double_nothing() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let (kills, seed) = (setting("TILTS_KILLS", 8), setting("TILTS_SEED", now));
    println!("repeat this run with TILTS_KILLS={kills} TILTS_SEED={seed}");
    let folder = tempfile::tempdir().unwrap();
    let tilts = tilts_binary().unwrap();
    let mut trial = Trial::set_up(&folder.path().join("world"), &tilts, seed).await.unwrap();
    let outcome = async {
        trial.run(kills).await?;
        trial.settled().await?;
        trial.prove().await
    };
    match outcome.await {
        Ok(figures) => println!("{kills} kills: {figures}"),
        Err(error) => {
            let kept = folder.keep();
            panic!("TILTS_KILLS={kills} TILTS_SEED={seed}, kept in {}: {error:#}", kept.display());
        }
    }
}
