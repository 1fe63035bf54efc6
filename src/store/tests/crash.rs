//! Promise 4: a process killed at any instant loses nothing it acknowledged and leaves nothing half done.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use super::*;

/// Where the process that gets killed finds the address of an S3 server; no such file means that its payloads lie in a folder.
const URL: &str = "s3-url";

/// The process that gets killed: works in its current folder and says what was acknowledged.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "run by `nothing_acknowledged_is_lost` as a process of its own"]
async fn child() {
    let s3 = std::fs::read_to_string(URL).ok().map(|url| place::s3_at(&url));
    let config = Config { s3, ..config(Path::new("data")).await };
    let store = Store::open(&config, Clock::manual(noon())).await.unwrap();
    let mut n = 0_u64;
    loop {
        let calls = (0..8).map(|k| {
            let mut new = inbound_message(&store, &format!("{n}-{k}@sender"));
            new.parts[0].payload = large(&store, n as u8);
            store.accept(new)
        });
        let all = futures_util::future::join_all(calls).await;
        for (k, result) in all.into_iter().enumerate() {
            assert!(matches!(result.unwrap(), Accepted::New { .. }));
            println!("accepted {n}-{k}@sender");
        }
        submitted(&store, &n.to_string(), &format!("{n}@us")).await;
        println!("submitted {n}");
        n += 1;
    }
}

pub(super) fn large(store: &Store, seed: u8) -> StagedPayload {
    let mut writer = store.spool().writer();
    writer.write_all(&vec![seed; 2 * INLINE]).unwrap();
    writer.finish().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost() {
    nothing_is_lost(Place::folder).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_with_payloads_in_a_bucket() {
    nothing_is_lost(Place::bucket).await;
}

async fn nothing_is_lost(place: fn() -> Place) {
    for kill_after in [1, 7, 40] {
        let place = place();
        if let Some(server) = &place.server {
            std::fs::write(place.path().join(URL), server.url()).unwrap();
        }
        let acknowledged = run_and_kill(place.path(), kill_after);
        let config = place.config_of(&place.path().join("data")).await;
        let store = Store::open(&config, Clock::manual(noon())).await.unwrap();
        for line in acknowledged {
            check(&store, &line).await;
        }
        let result = store.recompute().await.unwrap();
        assert!(result.differences.is_empty(), "{:?}", result.differences);
        if place.server.is_some() {
            // In a folder of its own a node does that when it starts.
            collected(&store, std::time::Duration::ZERO).await;
        }
        let deliveries = store.newest_deliveries((None, None), None, 100_000).await.unwrap();
        assert_eq!(place::published(&store).len(), deliveries.len(), "files and rows agree");
    }
}

fn run_and_kill(folder: &Path, after: usize) -> Vec<String> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "store::tests::crash::child", "--ignored", "--nocapture"])
        .current_dir(folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut acknowledged = Vec::new();
    for line in lines.map_while(Result::ok).filter(|l| l.contains("accepted ") || l.contains("submitted ")) {
        acknowledged.push(line);
        if acknowledged.len() == after {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    assert!(acknowledged.len() >= after);
    acknowledged
}

async fn check(store: &Store, line: &str) {
    let words: Vec<&str> = line.rsplitn(2, ' ').collect();
    if line.contains("submitted ") {
        assert!(store.submission_by_client_id("rest", words[0]).await.unwrap().is_some(), "{line}");
        return;
    }
    let key = InboundKey { party: "sender".to_owned(), party_type: None, message_id: words[0].to_owned() };
    let message = store.find_inbound(&key).await.unwrap().unwrap_or_else(|| panic!("lost: {line}"));
    let mut reader = store.open_payload(message.parts[0].payload, Form::Original).await.unwrap();
    let mut octets = Vec::new();
    std::io::Read::read_to_end(&mut reader, &mut octets).unwrap();
    assert_eq!(openssl::sha::sha256(&octets), message.parts[0].original.sha256);
}
