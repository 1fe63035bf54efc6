//! What is lost on the way from a PostgreSQL server: the answer to a commit, and all that a listener would hear.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;

use super::inbound::delivery_of;
use super::*;

/// A way to the server on which, where `armed`, the next commit gets there and its answer does not come back; and on which what is
/// connected may fall silent without an end.
struct Way {
    armed: Arc<AtomicBool>,
    silent: watch::Sender<u32>,
    port: u16,
}

impl Way {
    async fn to(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let armed = Arc::new(AtomicBool::new(false));
        let (silent, silence) = watch::channel(0);
        let cut = Arc::clone(&armed);
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let mut server = TcpStream::connect(&server).await.unwrap();
                let (cut, mut silence) = (Arc::clone(&cut), silence.clone());
                let begun = *silence.borrow();
                tokio::spawn(async move {
                    let silent = tokio::select! {
                        silent = silence.wait_for(|now| *now > begun) => silent.is_ok(),
                        () = passed(&mut client, &mut server, cut) => false,
                    };
                    if silent {
                        std::future::pending::<()>().await;
                    }
                });
            }
        });
        Self { armed, silent, port }
    }

    fn fall_silent(&self) {
        self.silent.send_modify(|times| *times += 1);
    }

    fn lose_the_next_answer(&self) {
        self.armed.store(true, Ordering::SeqCst);
    }
}

async fn passed(client: &mut TcpStream, server: &mut TcpStream, cut: Arc<AtomicBool>) {
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    let up = async {
        let mut octets = vec![0; 1 << 16];
        while let Ok(count @ 1..) = from_client.read(&mut octets).await {
            let commit = octets[..count].windows(7).any(|some| some == b"COMMIT\0");
            to_server.write_all(&octets[..count]).await.unwrap();
            if commit && cut.swap(false, Ordering::SeqCst) {
                return;
            }
        }
    };
    tokio::select! {
        () = up => {
            // The server has done it when it answers; the answer goes nowhere.
            let _ = from_server.read(&mut [0; 64]).await;
        }
        _ = tokio::io::copy(&mut from_server, &mut to_client) => {}
    }
}

/// A store behind such a way; `None`, said loudly, without a server.
async fn behind_a_way(folder: &Path) -> Option<(Store, Way)> {
    let (config, way) = by_a_way(folder).await?;
    Some((Store::open(&config, Clock::manual(noon())).await.unwrap(), way))
}

async fn by_a_way(folder: &Path) -> Option<(Config, Way)> {
    let mut config = config(folder).await;
    let Some(postgres) = &mut config.postgres else {
        eprintln!("left out: {POSTGRES} names no PostgreSQL server");
        return None;
    };
    let (before, name) = postgres.url.rsplit_once('/').unwrap();
    let (scheme, address) = before.rsplit_once('@').unwrap();
    let way = Way::to(address.to_owned()).await;
    postgres.url = format!("{scheme}@127.0.0.1:{}/{name}?sslmode=disable", way.port);
    postgres.answer = std::time::Duration::from_secs(2);
    Some((config, way))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_hangs_up_on_a_start_is_asked_again() {
    let folder = tempfile::tempdir().unwrap();
    let Some((config, way)) = by_a_way(folder.path()).await else { return };
    way.lose_the_next_answer();
    let store = Store::open(&config, Clock::manual(noon())).await.unwrap();
    assert!(!way.armed.load(Ordering::SeqCst), "no answer was lost");
    submitted(&store, "1", "1@us").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_leased_without_an_answer_is_leased_again_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let Some((store, way)) = behind_a_way(folder.path()).await else { return };
    submitted(&store, "1", "1@us").await;
    let under_way = store.lease_due(noon(), 1, later(300)).await.unwrap().remove(0);
    submitted(&store, "2", "2@us").await;
    let delivery = delivery_of(&store, "1@sender").await;

    way.lose_the_next_answer();
    let lost = store.lease_due(later(1), 9, later(250)).await;
    assert!(matches!(lost, Err(Error::Undecided(_))), "{lost:?}");
    assert_eq!(store.next_due().await.unwrap(), Some(later(250)), "it stands");
    let leased = store.lease_due(later(3), 9, later(303)).await.unwrap();
    assert_eq!(leased.iter().map(|m| m.message_id.as_str()).collect::<Vec<_>>(), ["2@us"]);
    assert!(store.lease_due(later(4), 9, later(304)).await.unwrap().is_empty());
    assert_eq!(under_way.message_id, "1@us");

    way.lose_the_next_answer();
    let lost = store.lease_deliveries("rest", noon(), 9, later(600)).await;
    assert!(matches!(lost, Err(Error::Undecided(_))), "{lost:?}");
    assert!(store.lease_deliveries("other", later(1), 9, later(601)).await.unwrap().is_empty());
    let leased = store.lease_deliveries("rest", later(2), 9, later(602)).await.unwrap();
    assert_eq!(leased.iter().map(|d| d.id).collect::<Vec<_>>(), [delivery]);
    assert!(store.lease_deliveries("rest", later(3), 9, later(603)).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_accepted_without_an_answer_keeps_its_payload() {
    let folder = tempfile::tempdir().unwrap();
    let Some((store, way)) = behind_a_way(folder.path()).await else { return };
    let large = |store: &Store| {
        let mut message = inbound_message(store, "1@sender");
        message.parts[0].payload = crash::large(store, 1);
        message
    };
    way.lose_the_next_answer();
    let lost = store.accept(large(&store)).await;
    assert!(matches!(lost, Err(Error::Undecided(_))), "{lost:?}");
    assert!(matches!(store.accept(large(&store)).await.unwrap(), Accepted::Duplicate(_)));
    let found = store.recompute().await.unwrap();
    assert!(found.differences.is_empty() && found.orphans.is_empty(), "{found:?}");
    assert_eq!(found.payload_files, 1);
}

/// A server that ends a session may do so behind a commit, whose answer it then does not send.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_ended_in_a_commit_is_no_refusal_and_an_error_in_it_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let Some(postgres) = config(folder.path()).await.postgres else {
        return eprintln!("left out: {POSTGRES} names no PostgreSQL server");
    };
    let pool = sql::PostgresPool::connect(&postgres).await.unwrap();
    let end = async |last_act: &str| {
        let mut work = sql::Conn::Postgres(pool.begin().await.unwrap());
        work.batch(&format!(
            "CREATE TABLE late (n INT); CREATE FUNCTION act() RETURNS trigger LANGUAGE plpgsql AS
                 $$ BEGIN {last_act}; RETURN NULL; END $$;
             CREATE CONSTRAINT TRIGGER act AFTER INSERT ON late DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
                 EXECUTE FUNCTION act(); INSERT INTO late VALUES (1)"
        ))
        .await
        .unwrap();
        work.end(true).await
    };
    let ended = end("PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(9)").await;
    assert!(matches!(ended, Err(Error::Undecided(_))), "{ended:?}");
    let refused = end("RAISE EXCEPTION 'no'").await;
    assert!(matches!(refused, Err(Error::Database(_))), "{refused:?}");
}

/// As where a standby takes the place of a server that is gone without a word.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_silent_is_connected_to_anew() {
    let folder = tempfile::tempdir().unwrap();
    let Some((store, way)) = behind_a_way(folder.path()).await else { return };
    submitted(&store, "1", "1@us").await;
    let calls = (0..8).map(|_| store.submissions(None, None, None, 10));
    assert!(futures_util::future::join_all(calls).await.iter().all(Result::is_ok), "many connections");
    way.fall_silent();
    let patience = std::time::Duration::from_secs(40);
    let both = timeout(patience, async {
        while store.submissions(None, None, None, 10).await.is_err() {}
        while store.lease_due(noon(), 1, later(300)).await.is_err() {}
    });
    assert!(both.await.is_ok(), "no answer for {patience:?}");
}

/// Whoever waits for its turn to number events waits for others, and cannot tell that from a server that is gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_waits_for_its_turn_gives_up_when_the_server_is_silent() {
    let folder = tempfile::tempdir().unwrap();
    let Some((store, way)) = behind_a_way(folder.path()).await else { return };
    submitted(&store, "1", "1@us").await;
    let mut first = behind(folder.path()).await;
    first.take_turn(sql::Turn::Events).await.unwrap();
    let late = submission(&store, "2", vec![recipient("2@us")]);
    let waiting = tokio::spawn({
        let store = store.clone();
        async move { store.submit(late).await }
    });
    let asks = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'advisory'";
    let mut other = behind(folder.path()).await;
    while sql::query_scalar::<i64>(asks).fetch_one(&mut other).await.unwrap() == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    way.fall_silent();
    let given_up = timeout(std::time::Duration::from_secs(20), waiting).await.expect("it waits for good");
    assert!(given_up.unwrap().is_err());
    first.end(true).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_is_met_with_silence_is_undecided_and_what_came_before_it_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let Some((store, way)) = behind_a_way(folder.path()).await else { return };
    let sql::Conn::PostgresPool(pool) = store.read() else { panic!("no server") };
    let [begun, mut asked] =
        [pool.begin().await, pool.begin().await].map(|conn| sql::Conn::Postgres(conn.unwrap()));
    way.fall_silent();
    let patience = std::time::Duration::from_secs(20);
    let ended = timeout(patience, begun.end(true)).await.unwrap();
    assert!(matches!(ended, Err(Error::Undecided(_))), "{ended:?}");
    let answer = timeout(patience, sql::query("SELECT 1").execute(&mut asked)).await.unwrap();
    assert!(matches!(answer, Err(Error::Database(_))), "{answer:?}");
    let ended = timeout(patience, asked.end(true)).await.unwrap();
    assert!(matches!(ended, Err(Error::Closed)), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_whose_server_is_gone_without_a_word_listens_anew() {
    let folder = tempfile::tempdir().unwrap();
    let Some((store, way)) = behind_a_way(folder.path()).await else { return };
    let mut bell = store.outbound_changes();
    way.fall_silent();
    for _ in ["what may have been missed", "what is said then"] {
        let heard = timeout(std::time::Duration::from_secs(30), bell.changed());
        heard.await.expect("nothing heard").unwrap();
        let mut other = behind(folder.path()).await;
        other.batch("NOTIFY tilts, 'somebody outbound'").await.unwrap();
        other.end(true).await.unwrap();
    }
}
