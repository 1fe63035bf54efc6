//! A bucket that is not there, not ours, or gone while it is used.

use std::io::Read as _;
use std::time::Duration;

use super::place::{PREFIX, published};
use super::*;

fn octets(size: usize) -> Vec<u8> {
    let mut octets = vec![0; size];
    openssl::rand::rand_bytes(&mut octets).unwrap();
    octets
}

/// Hands in a payload that must lie in the bucket.
async fn hand_in(store: &Store, client_id: &str, octets: &[u8]) -> Result<PayloadId, Error> {
    let mut new = submission(store, client_id, vec![recipient(&format!("{client_id}@test"))]);
    new.payloads = vec![staged(store, octets)];
    store.submit(new).await?;
    let leased = store.lease_due(noon(), 100, later(1)).await?;
    Ok(leased.iter().find(|m| m.message_id == format!("{client_id}@test")).unwrap().parts[0].payload)
}

async fn read(store: &Store, id: PayloadId) -> std::io::Result<Vec<u8>> {
    let mut octets = Vec::new();
    let mut reader = store.open_payload(id, Form::Original).await.map_err(std::io::Error::other)?;
    reader.read_to_end(&mut octets)?;
    Ok(octets)
}

async fn refusal(config: &Config) -> String {
    Store::open(config, Clock::manual(noon())).await.unwrap_err().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_names_the_bucket_what_was_answered_and_what_helps() {
    let place = Place::bucket();
    let config = place.config().await;
    let bent = |bend: fn(&mut S3Config)| {
        let mut config = config.clone();
        config.s3.iter_mut().for_each(bend);
        config
    };
    let key = refusal(&bent(|s3| s3.access_key = "NOBODY".to_owned())).await;
    assert!(
        key.contains("/payloads does not let us list north/tilts: ") && key.contains("access_key_file"),
        "{key}"
    );
    let secret = refusal(&bent(|s3| s3.secret_key = "guessed".to_owned())).await;
    assert!(secret.contains("SignatureDoesNotMatch") && secret.contains("secret_key_file"), "{secret}");
    let bucket = refusal(&bent(|s3| s3.bucket = "nowhere".to_owned())).await;
    assert!(bucket.contains("/nowhere ") && bucket.contains("NoSuchBucket"), "{bucket}");
    assert!(bucket.contains("make it"), "{bucket}");
    for said in [&key, &secret, &bucket] {
        assert!(said.contains(&place.server().url()) && !said.contains("guessed"), "{said}");
    }
    place.server().fault.end();
    let down = refusal(&config).await;
    assert!(down.contains(&place.server().url()) && down.contains("see that the server runs"), "{down}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_database_does_not_get_the_same_prefix() {
    let place = Place::bucket();
    let store = place.open().await;
    let id = hand_in(&store, "a", &octets(2 * INLINE)).await.unwrap();
    let other = tempfile::tempdir().unwrap();
    let foreign = place.config_of(other.path()).await;
    let refused = Store::open(&foreign, Clock::manual(noon())).await.unwrap_err();
    assert!(matches!(&refused, Error::Foreign { place, .. } if place.ends_with(PREFIX)), "{refused}");
    let mut elsewhere = foreign;
    elsewhere.s3.iter_mut().for_each(|s3| s3.prefix = "south".to_owned());
    let elsewhere = Store::open(&elsewhere, Clock::manual(noon())).await.unwrap();
    assert!(published(&elsewhere).is_empty());
    store.close().await.unwrap();
    drop(store);
    let store = place.open().await;
    assert!(read(&store, id).await.is_ok(), "it is still ours");
}

/// More than three parts, and the last one not whole.
const LARGE: usize = 17 * (1 << 20) + 123_457;

#[tokio::test(flavor = "multi_thread")]
async fn a_large_payload_goes_in_parts_and_comes_back_whole_over_connections_that_break() {
    let place = Place::bucket();
    let store = place.open().await;
    let octets = octets(LARGE);
    let before = place.server().written();
    place.server().fault.break_after(7 << 20);
    let id = hand_in(&store, "a", &octets).await.unwrap();
    let requests = place.server().written() - before;
    assert!(requests >= 6, "begin, four parts, end, and what broke again: {requests}");
    for broken in [100, 1 << 20, LARGE as i64 - 1000] {
        place.server().fault.break_after(broken);
        assert!(read(&store, id).await.unwrap() == octets, "taken up after {broken} octets");
    }
    assert!(store.recompute().await.unwrap().differences.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_goes_in_the_middle_of_reading_is_an_error_and_nothing_is_lost() {
    let place = Place::bucket();
    let store = place.open().await;
    let octets = octets(LARGE);
    let id = hand_in(&store, "a", &octets).await.unwrap();
    place.server().fault.end_after(6 << 20);
    let error = read(&store, id).await.unwrap_err();
    let error = Error::of_reading(&error);
    assert!(error.is_passing() && error.to_string().contains("does not let us read"), "{error}");
    let none = store.open_payload(id, Form::Original).await.map(drop).unwrap_err();
    assert!(none.is_passing(), "{none}");
    place.server().fault.heal();
    assert!(read(&store, id).await.unwrap() == octets);
}

/// Wherever the server goes, either all is stored or nothing is, and no row points at nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_goes_in_the_middle_of_writing_leaves_no_row_that_points_at_nothing() {
    let place = Place::bucket();
    let store = place.open().await;
    let (small, large) = (octets(2 * INLINE), octets(LARGE));
    let mut outcomes = [0, 0];
    let sweep = [1, 500, 100_000, 131_800, 133_000].map(|after| (after, &small));
    let sweep = sweep.into_iter().chain([6 << 20, 17_950_000, 17_960_000].map(|after| (after, &large)));
    for (number, (after, octets)) in sweep.enumerate() {
        let name = number.to_string();
        place.server().fault.end_after(after);
        let outcome = hand_in(&store, &name, octets).await;
        place.server().fault.heal();
        outcomes[usize::from(outcome.is_ok())] += 1;
        if let Err(error) = outcome {
            assert!(error.is_passing(), "{error}");
            assert!(store.submission_by_client_id("rest", &name).await.unwrap().is_none());
            let id = hand_in(&store, &name, octets).await.unwrap();
            assert!(read(&store, id).await.unwrap() == *octets);
        }
        let found = store.recompute().await.unwrap();
        assert!(found.differences.is_empty(), "after {after}: {found:?}");
    }
    assert!(outcomes[0] > 4, "the server did not go: {outcomes:?}");
    collected(&store, Duration::ZERO).await;
    let found = store.recompute().await.unwrap();
    assert!(found.differences.is_empty() && found.orphans.is_empty(), "{found:?}");
    assert_eq!(found.payload_files, 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_old_by_the_server_s_time_is_left_over() {
    let place = Place::bucket();
    let store = place.open().await;
    let shard = place.payloads().join("00");
    std::fs::create_dir_all(&shard).unwrap();
    for (name, hours) in [("old.original", 2), ("young.original", 0)] {
        let file = std::fs::File::create(shard.join(name)).unwrap();
        let at = std::time::SystemTime::now() - Duration::from_secs(hours * 3600);
        file.set_modified(at).unwrap();
    }
    assert_eq!(collected(&store, SETTLED).await, 1);
    assert_eq!(published(&store), ["00/young.original"]);
}

/// Objects of a process that died, which nobody has touched for two hours.
fn left_over(place: &Place, numbers: impl IntoIterator<Item = u32>) {
    let at = std::time::SystemTime::now() - Duration::from_secs(2 * 3600);
    for number in numbers {
        let shard = place.payloads().join(format!("{:02x}", number % 256));
        std::fs::create_dir_all(&shard).unwrap();
        let file = std::fs::File::create(shard.join(format!("{number}.original"))).unwrap();
        file.set_modified(at).unwrap();
    }
}

/// Pages of the server's own length, and such short ones that what is named and what is left over are on all of them.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_over_on_any_page_of_the_list_is_removed_and_what_is_named_stays() {
    for (objects, page, pages) in [(1100, 1000, 2), (40, 7, 7)] {
        let place = Place::bucket();
        let store = place.open().await;
        for name in 0..5 {
            hand_in(&store, &name.to_string(), &octets(2 * INLINE)).await.unwrap();
        }
        let named = published(&store);
        left_over(&place, 0..objects);
        place.server().page(page);
        let before = place.server().pages();
        assert_eq!(published(&store).len() as u32, objects + 5);
        assert_eq!(place.server().pages() - before, pages);
        let found = store.recompute().await.unwrap();
        assert_eq!((found.payload_files, found.orphans.len() as u32), (5, objects));
        assert!(found.differences.is_empty(), "{found:?}");
        assert_eq!(collected(&store, SETTLED).await, u64::from(objects));
        assert_eq!(published(&store), named);
    }
}

/// Half a list is none: what stands on the pages that did not come is not missing.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_goes_between_two_pages_removes_nothing_and_misses_nothing() {
    let place = Place::bucket();
    let store = place.open().await;
    hand_in(&store, "a", &octets(2 * INLINE)).await.unwrap();
    // All in the first shard.
    left_over(&place, (0..40).map(|number| 256 * number));
    place.server().page(7);
    assert_eq!(store.collect_files(SETTLED).await.unwrap(), 0, "the first round only looks");
    place.server().fault.end_after(6000);
    let before = place.server().pages();
    assert!(store.collect_files(SETTLED).await.unwrap_err().is_passing());
    let pages = place.server().pages() - before;
    assert!((1..7).contains(&pages), "{pages} pages came");
    place.server().fault.heal();
    assert!(store.notices(true, 10).await.unwrap().is_empty());
    assert_eq!(store.collect_files(SETTLED).await.unwrap(), 40);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_cannot_be_asked_is_no_finding_about_payloads() {
    let place = Place::bucket();
    let store = place.open().await;
    hand_in(&store, "a", &octets(2 * INLINE)).await.unwrap();
    let config = place.config().await;
    let found = Store::recompute_at(&config).await.unwrap();
    assert_eq!((found.payload_files, found.differences.len(), found.orphans.len()), (1, 0, 0));
    place.server().fault.end();
    assert!(store.recompute().await.unwrap_err().is_passing());
    assert!(Store::recompute_at(&config).await.unwrap_err().is_passing());
}
