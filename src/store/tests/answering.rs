//! Whether it is noticed that nothing is written.

use std::time::{Duration, Instant};

use super::*;
use crate::store::answering::may_write;

/// More than whoever asks waits.
const PATIENCE: Duration = Duration::from_secs(1);

async fn eventually(store: &Store, what: impl Fn(&Result<(), Error>) -> bool) -> Result<(), Error> {
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        let found = store.check_writing(PATIENCE).await;
        if what(&found) || Instant::now() > until {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_somebody_else_has_locked_is_found_out_and_found_free_again() {
    if server().is_some() {
        return eprintln!("SKIPPED: another connection locks the whole of SQLite alone");
    }
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    store.check_writing(PATIENCE).await.unwrap();
    let mut other = behind(folder.path()).await;
    other.batch("BEGIN IMMEDIATE").await.unwrap();
    let begun = Instant::now();
    assert!(store.check_writing(PATIENCE).await.is_ok(), "it may be slow: nobody knows yet");
    assert!(begun.elapsed() < PATIENCE, "whoever asks does not wait for it");
    assert!(store.check_pace(PATIENCE).is_ok(), "it may be slow: more is taken over");
    let silent = eventually(&store, Result::is_err).await.unwrap_err();
    assert!(matches!(silent, Error::Silent { .. }), "{silent}");
    assert!(matches!(store.check_pace(PATIENCE), Err(Error::Silent { .. })), "nothing more is taken over");
    assert!(store.last_event().await.is_ok(), "it can be read all the time");
    other.batch("ROLLBACK").await.unwrap();
    eventually(&store, Result::is_ok).await.unwrap();
    store.check_pace(PATIENCE).unwrap();
}

/// Nobody else asks: whoever takes something over does.
#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_keeps_all_waiting_is_noticed_by_those_who_take_over() {
    if server().is_some() {
        return eprintln!("SKIPPED: another connection locks the whole of SQLite alone");
    }
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let mut other = behind(folder.path()).await;
    other.batch("BEGIN IMMEDIATE").await.unwrap();
    let begun = Instant::now();
    while store.check_pace(PATIENCE).is_ok() {
        assert!(begun.elapsed() < Duration::from_secs(10), "nobody noticed");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(begun.elapsed() >= PATIENCE);
    other.batch("ROLLBACK").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn asking_writes_nothing_however_many_ask() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    submitted(&store, "a", "1@test").await;
    let wal = || std::fs::metadata(folder.path().join("tilts.db-wal")).map(|file| file.len()).ok();
    let before = wal();
    for _ in 0..20 {
        let all = futures_util::future::join_all((0..50).map(|_| store.check_writing(PATIENCE))).await;
        assert!(all.iter().all(Result::is_ok));
    }
    assert_eq!(wal(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_wrote_and_is_gone_is_missed() {
    if server().is_some() {
        return eprintln!("SKIPPED: on PostgreSQL there are several that write");
    }
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let broken = store.write(|_| Box::pin(async { std::panic::resume_unwind(Box::new("a defect")) }));
    let broken: Result<(), Error> = broken.await;
    assert!(matches!(broken, Err(Error::Closed)));
    assert!(matches!(store.check_writing(PATIENCE).await, Err(Error::Closed)));
    store.ended().await;
}

#[tokio::test]
async fn a_server_that_takes_no_writes_is_found_out() {
    if server().is_none() {
        return eprintln!("SKIPPED: {POSTGRES} is not set");
    }
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    store.check_writing(PATIENCE).await.unwrap();
    let mut other = behind(folder.path()).await;
    may_write(&mut other).await.unwrap();
    // What a server that follows another one says of all.
    other.batch("SET TRANSACTION READ ONLY").await.unwrap();
    assert!(matches!(may_write(&mut other).await, Err(Error::ReadOnly)));
}
