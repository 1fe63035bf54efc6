//! Spool, forms, publication, orphans.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::sync::Arc;

use proptest::prelude::*;

use super::place::published;
use super::room::Room;
use super::shelf::Shelf;
use super::*;
use crate::clock::SignedDuration;

/// Runs each of these with the payloads in a folder and in a bucket.
macro_rules! everywhere {
    ($($name:ident,)*) => {
        mod in_a_folder {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name(&super::Place::folder()).await;
            })*
        }
        mod in_a_bucket {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name(&super::Place::bucket()).await;
            })*
        }
    };
}
everywhere! {
    payloads_of_every_size_read_back_in_both_forms,
    a_form_that_is_missing_is_made_once,
    a_form_that_several_make_at_once_is_one_that_all_can_read,
    files_that_no_row_names_are_collected_when_they_are_old,
    files_that_no_row_names_are_gone_after_a_start,
    a_refused_submission_leaves_no_file,
    octets_leave_only_when_nobody_waits_for_them,
    octets_that_are_for_nobody_stay_as_long_as_where_nothing_was_said,
    octets_stay_as_long_as_anyone_they_went_to_keeps_them,
    recomputing_finds_files_that_are_gone_or_cut_or_that_nobody_names,
    payloads_are_encrypted_under_the_first_key_and_read_under_any,
    a_payload_that_was_changed_or_exchanged_where_it_lies_is_not_read_whole,
}

fn noise(size: usize) -> Vec<u8> {
    let mut octets = vec![0; size];
    openssl::rand::rand_bytes(&mut octets).unwrap();
    octets
}

async fn read(store: &Store, id: PayloadId, form: Form) -> (Measure, Vec<u8>) {
    let mut reader = store.open_payload(id, form).await.unwrap();
    let mut octets = Vec::new();
    reader.read_to_end(&mut octets).unwrap();
    (reader.measure, octets)
}

async fn payloads_of_every_size_read_back_in_both_forms(place: &Place) {
    let store = place.open().await;
    for (n, octets) in
        [Vec::new(), b"small".to_vec(), vec![b'a'; 5 * INLINE], noise(INLINE), noise(5 * INLINE)]
            .into_iter()
            .enumerate()
    {
        let mut new = submission(&store, &n.to_string(), vec![recipient(&format!("{n}@test"))]);
        new.payloads = vec![staged(&store, &octets)];
        store.submit(new).await.unwrap();
        let message = store.lease_due(noon(), 1, later(60)).await.unwrap().remove(0);
        let part = &message.parts[0];
        let (measure, original) = read(&store, part.payload, Form::Original).await;
        assert_eq!(original, octets);
        assert_eq!(measure, part.original);
        assert_eq!(measure.sha256, openssl::sha::sha256(&octets));
        let (measure, sent) = read(&store, part.payload, part.form).await;
        assert_eq!(Some(measure), part.sent);
        assert_eq!((measure.size, measure.sha256), (sent.len() as u64, openssl::sha::sha256(&sent)));
        assert_eq!(
            part.form == Form::Gzip,
            octets.len() == 5 * INLINE && octets[0] == octets[1] && octets[1] == octets[2]
        );
    }
}

async fn a_form_that_is_missing_is_made_once(place: &Place) {
    let store = place.open().await;
    submitted(&store, "a", "1@test").await;
    let message = store.lease_due(noon(), 1, later(60)).await.unwrap().remove(0);
    let id = message.parts[0].payload;
    assert!(store.open_payload(id, Form::Canonical).await.is_err());
    for octets in ["<a></a>", "<b></b>"] {
        let mut writer = store.spool().writer();
        writer.write_all(octets.as_bytes()).unwrap();
        store.add_form(id, Form::Canonical, writer.finish().unwrap()).await.unwrap();
    }
    assert_eq!(read(&store, id, Form::Canonical).await.1, b"<a></a>");
}

/// Hands in a payload that lives in a file; the files that rows name.
async fn with_a_file(store: &Store) -> Vec<String> {
    let mut new = submission(store, "a", vec![recipient("1@test")]);
    new.payloads = vec![staged(store, &noise(2 * INLINE))];
    store.submit(new).await.unwrap();
    published(store)
}

async fn a_form_that_several_make_at_once_is_one_that_all_can_read(place: &Place) {
    let store = open_with(place, "1").await;
    let octets = noise(3 * INLINE);
    let id = kept(&store, "a", &octets).await;
    let makers = (0..5).map(|_| {
        let mut writer = store.spool().writer();
        writer.write_all(&octets).unwrap();
        store.add_form(id, Form::Canonical, writer.finish().unwrap())
    });
    for made in futures_util::future::join_all(makers).await {
        assert_eq!(made.unwrap().sha256, openssl::sha::sha256(&octets));
    }
    assert!(read(&store, id, Form::Canonical).await.1 == octets);
    let found = store.recompute().await.unwrap();
    assert!(found.differences.is_empty() && found.orphans.is_empty(), "{found:?}");
}

async fn files_that_no_row_names_are_collected_when_they_are_old(place: &Place) {
    let store = place.open().await;
    let kept = with_a_file(&store).await;
    staged(&store, &noise(2 * INLINE)).publish(store.spool()).unwrap();
    let collect = async |older| store.collect_files(older).await.unwrap();
    assert_eq!(collect(std::time::Duration::ZERO).await, 0, "a clock that was put forward makes it look old");
    assert_eq!(collect(SETTLED).await, 0, "its row may be about to come");
    assert_eq!(collect(std::time::Duration::ZERO).await, 1);
    assert_eq!(published(&store), kept);
}

async fn files_that_no_row_names_are_gone_after_a_start(place: &Place) {
    let store = place.open().await;
    let kept = with_a_file(&store).await;
    assert_eq!(kept.len(), 1);
    // Published, then the node stopped before the commit.
    let orphan = staged(&store, &noise(2 * INLINE)).publish(store.spool()).unwrap();
    drop(orphan);
    let left_over = published(&store).into_iter().find(|name| !kept.contains(name)).unwrap();
    let file = std::fs::File::open(place.payloads().join(left_over)).unwrap();
    // Where nodes may share a place, only what is old counts as left over.
    file.set_modified(std::time::SystemTime::now() - 2 * SETTLED).unwrap();
    store.close().await.unwrap();
    drop(store);
    std::fs::write(place.path().join("spool/half-written"), "x").unwrap();
    let store = place.open().await;
    if place.server.is_some() {
        collected(&store, SETTLED).await;
    }
    assert_eq!(published(&store), kept);
    assert_eq!(std::fs::read_dir(place.path().join("spool")).unwrap().count(), 0);
}

async fn a_refused_submission_leaves_no_file(place: &Place) {
    let store = place.open().await;
    submitted(&store, "a", "1@test").await;
    let mut conflict = submission(&store, "a", vec![recipient("2@test")]);
    conflict.payloads = vec![staged(&store, &noise(2 * INLINE))];
    assert!(matches!(store.submit(conflict).await.unwrap(), Submitted::Conflict(_)));
    let mut wrong = submission(&store, "b", vec![recipient("3@test")]);
    wrong.recipients[0].parts[0].payload = 7;
    wrong.payloads = vec![staged(&store, &noise(2 * INLINE))];
    assert!(matches!(store.submit(wrong).await, Err(Error::Conflict { .. })));
    assert!(published(&store).is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// However a payload is cut into writes, form and digests are the same.
    #[test]
    fn chunks_do_not_matter(size in 0usize..400_000, chunk in 1usize..100_000, plain in any::<bool>()) {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::open(
            folder.path().join("spool"),
            Shelf::of(&Config { path: folder.path().to_owned(), ..Config::default() }).unwrap(),
            PayloadKeys::default(),
            Arc::new(Room::new(Vec::new(), 0)),
        )
        .unwrap();
        let octets: Vec<u8> = (0..size).map(|n| if plain { b'x' } else { (n * n / 7) as u8 }).collect();
        let mut whole = spool.writer_keeping(Keep::Compressed);
        whole.write_all(&octets).unwrap();
        let whole = whole.finish().unwrap();
        let mut cut = spool.writer_keeping(Keep::Compressed);
        for piece in octets.chunks(chunk) {
            cut.write_all(piece).unwrap();
        }
        let cut = cut.finish().unwrap();
        prop_assert_eq!((cut.form, cut.original), (whole.form, whole.original));
        // Deflate may place its blocks by write: only what is stored must be consistent.
        let mut stored = Vec::new();
        cut.open_held().unwrap().read_to_end(&mut stored).unwrap();
        prop_assert_eq!(cut.stored.sha256, openssl::sha::sha256(&stored));
        let mut unpacked = Vec::new();
        cut.open().unwrap().read_to_end(&mut unpacked).unwrap();
        prop_assert_eq!(unpacked, octets);
    }
}

async fn octets_leave_only_when_nobody_waits_for_them(place: &Place) {
    let at_once = Retention { otherwise: SignedDuration::ZERO, of: BTreeMap::new() };
    let store = place.open().await;
    let view = submitted(&store, "a", "1@test").await;
    let mut new = inbound_message(&store, "1@sender");
    new.parts[0].payload = staged(&store, &noise(2 * INLINE));
    let Accepted::New { delivery, message, .. } = store.accept(new).await.unwrap() else {
        panic!("duplicate")
    };
    assert_eq!(store.drop_payloads(&at_once, noon(), 10).await.unwrap(), 0, "too young");
    assert_eq!(store.drop_payloads(&at_once, later(1), 10).await.unwrap(), 0, "waited for");

    store.settle_delivery(delivery.unwrap(), DeliveryOutcome::Accepted, None).await.unwrap();
    assert_eq!(store.drop_payloads(&at_once, later(1), 10).await.unwrap(), 1);
    assert!(published(&store).is_empty());
    let part = store.inbound(message).await.unwrap().parts.remove(0);
    assert!(matches!(store.open_payload(part.payload, Form::Original).await, Err(Error::NotFound { .. })));
    assert_eq!(part.original.size, 2 * INLINE as u64, "the digest stays");

    // A receipt is not the last word where evidence was agreed.
    let sent = store.lease_due(noon(), 1, later(60)).await.unwrap().remove(0);
    let attempt = super::outbound::first_attempt(&store, &sent).await;
    let receipted =
        super::outbound::settlement(Outcome::Receipted, Next::AwaitEvidence, vec![receipt(later(1))]);
    store.settle(attempt, receipted).await.unwrap();
    let short = BTreeMap::from([("demo".to_owned(), SignedDuration::ZERO)]);
    let short = Retention { otherwise: SignedDuration::from_secs(60), of: short };
    assert_eq!(store.drop_payloads(&short, later(1), 10).await.unwrap(), 0, "evidence may come");

    let taken = NewEvidence::new(Row::remote(Signal::Taken, later(9), later(10), "rem-1"), "rem", "<rem/>");
    store.append_evidence(view.recipients[0].id, vec![taken]).await.unwrap();
    assert_eq!(store.drop_payloads(&at_once, later(1), 10).await.unwrap(), 1);
    assert!(store.recompute().await.unwrap().differences.is_empty());
}

async fn octets_that_are_for_nobody_stay_as_long_as_where_nothing_was_said(place: &Place) {
    let store = place.open().await;
    for n in 0..7 {
        let nobody = NewRecipient { parts: Vec::new(), message: None, ..recipient(&format!("{n}@test")) };
        store.submit(submission(&store, &n.to_string(), vec![nobody])).await.unwrap();
    }
    let of = BTreeMap::from([("demo".to_owned(), SignedDuration::ZERO)]);
    let short = Retention { otherwise: SignedDuration::from_secs(60), of };
    assert_eq!(store.drop_payloads(&short, later(59), 3).await.unwrap(), 0);
    assert_eq!(store.drop_payloads(&short, later(61), 3).await.unwrap(), 7, "in batches");
}

async fn octets_stay_as_long_as_anyone_they_went_to_keeps_them(place: &Place) {
    let store = place.open().await;
    let mut new = inbound_message(&store, "1@sender");
    new.parts[0].payload = staged(&store, &noise(2 * INLINE));
    (new.pmode, new.backend) = (serde_json::json!({ "domain": "north" }), None);
    store.accept(new).await.unwrap();
    let view = submitted(&store, "a", "1@test").await;
    let taken = NewEvidence::new(Row::remote(Signal::Taken, later(9), later(10), "rem-1"), "rem", "<rem/>");
    store.append_evidence(view.recipients[0].id, vec![taken]).await.unwrap();
    let domain = view.recipients[0].domain.clone();
    let hours = SignedDuration::from_hours;
    let keeping = |of: &[(&str, i64)], otherwise| Retention {
        otherwise: hours(otherwise),
        of: of.iter().map(|(name, kept)| ((*name).to_owned(), hours(*kept))).collect(),
    };
    let tomorrow = later(24 * 3600);
    let drop = async |retention: Retention| store.drop_payloads(&retention, tomorrow, 10).await.unwrap();
    assert_eq!(drop(keeping(&[("north", 25)], 25)).await, 0, "both are kept");
    assert_eq!(drop(keeping(&[("north", 25), (&domain, 48)], 1)).await, 0, "by name");
    assert_eq!(drop(keeping(&[("north", 23)], 25)).await, 1, "what came from the north");
    assert_eq!(drop(keeping(&[(&domain, 23)], 25)).await, 1, "and what was sent");
    assert_eq!(drop(keeping(&[], 0)).await, 0, "nothing is left");
}

async fn recomputing_finds_files_that_are_gone_or_cut_or_that_nobody_names(place: &Place) {
    let store = place.open().await;
    for name in ["gone", "cut", "whole"] {
        let mut new = submission(&store, name, vec![recipient(&format!("{name}@test"))]);
        new.payloads = vec![staged(&store, &noise(2 * INLINE))];
        store.submit(new).await.unwrap();
    }
    let found = store.recompute().await.unwrap();
    assert_eq!((found.payload_files, &found.differences[..], &found.orphans[..]), (3, &[][..], &[][..]));
    let payloads = place.payloads();
    let files = published(&store);
    std::fs::remove_file(payloads.join(&files[0])).unwrap();
    std::fs::write(payloads.join(&files[1]), b"cut").unwrap();
    std::fs::create_dir_all(payloads.join("00")).unwrap();
    std::fs::write(payloads.join("00/stray.original"), b"stray").unwrap();
    let found = store.recompute().await.unwrap();
    assert_eq!(found.orphans, ["00/stray.original"]);
    let damaged = found.differences.iter().filter(|d| matches!(d, Difference::Payload { .. })).count();
    assert_eq!(damaged, found.differences.len());
    assert_eq!(damaged, 2);
}

fn keys(digits: &str) -> PayloadKeys {
    let key = |digit: char| PayloadKey::parse(&digit.to_string().repeat(64)).unwrap();
    PayloadKeys(digits.chars().map(key).collect())
}

async fn open_with(place: &Place, digits: &str) -> Store {
    let config = Config { keys: keys(digits), ..place.config().await };
    Store::open(&config, Clock::manual(noon())).await.unwrap()
}

/// Hands in a payload; its id.
async fn kept(store: &Store, client_id: &str, octets: &[u8]) -> PayloadId {
    let mut new = submission(store, client_id, vec![recipient(&format!("{client_id}@test"))]);
    new.payloads = vec![staged(store, octets)];
    store.submit(new).await.unwrap();
    let leased = store.lease_due(noon(), 10, later(60)).await.unwrap();
    leased.iter().find(|message| message.message_id == format!("{client_id}@test")).unwrap().parts[0].payload
}

async fn read_back(store: &Store, id: PayloadId) -> Result<Vec<u8>, Error> {
    let mut octets = Vec::new();
    let mut reader = store.open_payload(id, Form::Original).await?;
    std::io::Read::read_to_end(&mut reader, &mut octets).unwrap();
    Ok(octets)
}

async fn payloads_are_encrypted_under_the_first_key_and_read_under_any(place: &Place) {
    let secret = b"nobody must read this ".repeat(5);
    let small = secret.clone();
    let large = noise(9 * INLINE);
    let store = open_with(place, "").await;
    let plain = kept(&store, "plain", &small).await;
    store.close().await.unwrap();
    drop(store);
    let store = open_with(place, "1").await;
    let under_one = kept(&store, "small", &[b"one ".as_slice(), &secret].concat()).await;
    let file_under_one = kept(&store, "large", &large).await;
    store.close().await.unwrap();
    drop(store);
    let store = open_with(place, "21").await;
    let under_two = kept(&store, "two", &[b"two ".as_slice(), &secret].concat()).await;
    assert_eq!(read_back(&store, plain).await.unwrap(), small);
    assert!(read_back(&store, under_one).await.unwrap().starts_with(b"one "));
    assert!(read_back(&store, file_under_one).await.unwrap() == large);
    assert!(read_back(&store, under_two).await.unwrap().starts_with(b"two "));
    let found = store.recompute().await.unwrap();
    assert!(found.differences.is_empty() && found.orphans.is_empty(), "{found:?}");
    store.close().await.unwrap();
    drop(store);
    let store = open_with(place, "2").await;
    let missing = read_back(&store, under_one).await.unwrap_err();
    assert!(matches!(&missing, Error::NoKey { name } if name == keys("1").0[0].name()), "{missing}");
    let rows: Vec<Option<Vec<u8>>> =
        sql::query_scalar("SELECT content FROM payload_form WHERE sealed IS NOT NULL")
            .fetch_all(&mut behind(place.path()).await)
            .await
            .unwrap();
    for content in rows.into_iter().flatten() {
        assert!(!content.windows(10).any(|w| w == &secret[..10]), "it can be read");
    }
    for file in payload_files(&place.payloads()) {
        let octets = std::fs::read(file).unwrap();
        assert!(!octets.windows(64).any(|w| w == &large[1000..1064]), "it can be read");
    }
}

async fn a_payload_that_was_changed_or_exchanged_where_it_lies_is_not_read_whole(place: &Place) {
    let (one, other) = (noise(3 * INLINE), noise(3 * INLINE));
    for (digits, word) in [("", "SHA-256"), ("1", "another payload")] {
        let store = open_with(place, digits).await;
        let before = published(&store);
        let ids = [
            kept(&store, &format!("one{digits}"), &one).await,
            kept(&store, &format!("other{digits}"), &other).await,
        ];
        let files: Vec<_> = published(&store).into_iter().filter(|file| !before.contains(file)).collect();
        let [first, second] = [0, 1].map(|n| place.payloads().join(&files[n]));
        let aside = place.path().join("aside");
        std::fs::rename(&first, &aside).unwrap();
        std::fs::rename(&second, &first).unwrap();
        std::fs::rename(&aside, &second).unwrap();
        for id in ids {
            let mut octets = Vec::new();
            let mut reader = store.open_payload(id, Form::Original).await.unwrap();
            let said = reader.read_to_end(&mut octets).unwrap_err().to_string();
            assert!(said.contains(word) && said.contains("backup"), "{said}");
            assert!(octets.len() < one.len());
            // What is sent without a comparison of ours is compared by the peer; of an encrypted one nothing comes out at all.
            let mut sent = Vec::new();
            let mut reader = store.open_payload(id, Form::Original).await.unwrap().unchecked();
            assert_eq!(reader.read_to_end(&mut sent).is_ok(), digits.is_empty());
            assert_eq!(sent.is_empty(), !digits.is_empty());
        }
        store.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_not_theirs_removes_no_payloads() {
    let place = Place::folder();
    let octets = noise(2 * INLINE);
    let store = place.open().await;
    let id = kept(&store, "a", &octets).await;
    store.close().await.unwrap();
    drop(store);
    let owner = place.payloads().join("owner");
    let files = payload_files(&place.payloads());
    for known in [true, false] {
        if !known {
            std::fs::remove_file(&owner).unwrap();
        }
        let other = tempfile::tempdir().unwrap();
        let foreign = Config { payloads: Some(place.payloads()), ..config(other.path()).await };
        // However often a service manager starts it.
        for _ in 0..3 {
            let refused = Store::open(&foreign, Clock::manual(noon())).await.unwrap_err();
            let unknown = matches!(&refused, Error::Foreign { owner, .. } if owner == "unknown");
            assert_eq!(unknown, !known, "{refused}");
            assert_eq!(payload_files(&place.payloads()), files);
        }
    }
    // Their own database takes them, as it does after an update of tilts.
    let store = place.open().await;
    assert!(read_back(&store, id).await.unwrap() == octets && owner.exists());
}

fn payload_files(folder: &Path) -> Vec<std::path::PathBuf> {
    let shards = std::fs::read_dir(folder).unwrap().map(|shard| shard.unwrap().path());
    let shards =
        shards.filter(|shard| shard.is_dir() && shard.file_name().is_some_and(|name| name.len() == 2));
    shards.flat_map(|shard| std::fs::read_dir(shard).unwrap().map(|file| file.unwrap().path())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_a_row_names_and_that_is_gone_is_told_of_once() {
    let place = Place::folder();
    let store = place.open().await;
    kept(&store, "a", &noise(2 * INLINE)).await;
    collected(&store, SETTLED).await;
    assert!(store.notices(false, 10).await.unwrap().is_empty());
    let name = published(&store).remove(0);
    std::fs::remove_file(place.payloads().join(&name)).unwrap();
    collected(&store, SETTLED).await;
    let told = store.notices(false, 10).await.unwrap();
    assert_eq!(
        (told.len(), told[0].kind.as_str(), told[0].subject.as_str()),
        (1, "payload-missing", name.as_str())
    );
}

#[test]
fn a_payload_ends_where_the_disk_has_no_room_for_more_and_is_nobody_s_fault() {
    let folder = tempfile::tempdir().unwrap();
    let shelf = Shelf::of(&Config { path: folder.path().to_owned(), ..Config::default() }).unwrap();
    let spool =
        Spool::open(folder.path().join("spool"), shelf, PayloadKeys::default(), Arc::new(Room::none()))
            .unwrap();
    let mut writer = spool.writer();
    let octets = noise(64 * 1024);
    let error = (0..).find_map(|_| writer.write_all(&octets).err()).unwrap();
    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
    assert!(Error::of_writing(&error).is_full() && writer.size() <= 2 << 20);
}

#[tokio::test]
async fn files_that_were_published_long_before_they_are_named_are_not_named() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let large = payload::publish_all(store.spool(), vec![crash::large(&store, 1)]).await.unwrap();
    let small = payload::publish_all(store.spool(), vec![staged(&store, b"in its row")]).await.unwrap();
    let late = payload::Since::long_ago();
    assert!(late.in_time(&large).is_err(), "another node may have removed it by now");
    assert!(late.in_time(&small).is_ok(), "it is in the row");
    assert!(payload::Since::now().in_time(&large).is_ok());
}

#[tokio::test]
async fn what_others_put_among_payloads_is_left_alone_and_stops_nobody() {
    if server().is_some() {
        return eprintln!("SKIPPED: what nodes share is tidied by the hour");
    }
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let place = folder.path().join("payloads");
    store.close().await.unwrap();
    drop(store);
    for stranger in ["@eaDir/thumbnail", "ab/@eaDir/thumbnail", "cd/left-over.bin"] {
        let path = place.join(stranger);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "theirs").unwrap();
    }
    let store = open(folder.path()).await;
    assert!(place.join("ab/@eaDir/thumbnail").exists());
    // What one look sees and the next sees again is removed.
    for _ in 0..2 {
        store.collect_files(std::time::Duration::ZERO).await.unwrap();
    }
    assert!(place.join("ab/@eaDir/thumbnail").exists() && place.join("@eaDir/thumbnail").exists());
}
