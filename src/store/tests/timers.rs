//! What is asked on a timer, for every message, and for the metrics reads an index, whatever the store holds.

use super::*;

/// What SQLite will do, a line for each table.
async fn plan(folder: &Path, statement: &str) -> Vec<String> {
    let connection = rusqlite::Connection::open(folder.join("tilts.db")).unwrap();
    let mut explained = connection.prepare(&format!("EXPLAIN QUERY PLAN {statement}")).unwrap();
    let count = explained.parameter_count();
    let rows = explained.query_map(rusqlite::params_from_iter(vec![1; count]), |row| row.get::<_, String>(3));
    rows.unwrap().map(Result::unwrap).collect()
}

/// Read whole each time the metrics are asked for: in the order of an index, nothing gathered beside it.
const COUNTS: [&str; 3] = [counts::RECIPIENT_COUNTS, counts::MESSAGE_COUNTS, counts::DELIVERY_COUNTS];

#[tokio::test]
async fn nothing_that_is_asked_often_reads_a_whole_table() {
    if server().is_some() {
        eprintln!("left out: the plans are those of SQLite");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let statements = [crate::store::lease::DUE, crate::store::lease::FIRST_DUE]
        .into_iter()
        .chain(delivery::NEXT_DELIVERY)
        .chain(delivery::NEXT_DEADLINE)
        .chain([
            delivery::PAST_DEADLINE,
            delivery::AT_DISPOSAL,
            settle::OVERDUE,
            settle::UNEVIDENCED,
            super::payload_files::FILES,
            delivery::LEASE.sqlite,
        ])
        .chain(COUNTS)
        .chain([reading::BY_MESSAGE_ID, acts::IS_ORDERED]);
    for statement in statements {
        for line in plan(folder.path(), statement).await {
            let table = line.starts_with("SCAN") || line.starts_with("SEARCH");
            let counted = line.starts_with("SCAN") && !line.contains("COVERING INDEX");
            let by_key = line.contains("INDEX") || line.contains("PRIMARY KEY");
            assert!(!table || by_key, "{line}: {statement}");
            assert!(!counted || statement.contains("LIMIT 1"), "{line}: {statement}");
            assert!(!COUNTS.contains(&statement) || !line.contains("TEMP"), "{line}: {statement}");
        }
    }
    let leased = plan(folder.path(), crate::store::lease::IF_DUE).await;
    assert!(leased[0].contains("(id=?)"), "{leased:?}");
    // Without statistics SQLite takes the first of two indices that look equally good.
    for (statement, index) in [
        (evidence::STOP_SENDING, "message_recipient"),
        (counts::MESSAGE_COUNTS, "message_counts"),
        (crate::store::lists::listed(Some(MessageState::Failed)), "message_given_up (state=? AND id<?)"),
    ] {
        let plan = plan(folder.path(), statement).await;
        assert!(plan.iter().any(|line| line.contains(index)), "{plan:?}: {statement}");
        assert!(!plan.iter().any(|line| line.contains("TEMP")), "{plan:?}: {statement}");
    }
    store.close().await.unwrap();
}
