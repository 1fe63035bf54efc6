//! Statements on a real SQLite file; what PostgreSQL is given.

use super::postgres::{numbered, tries};
use super::*;

async fn opened() -> (tempfile::TempDir, Conn) {
    let folder = tempfile::tempdir().unwrap();
    let conn = SqliteConn::open(&folder.path().join("db"), Access::Write).unwrap();
    let mut conn = Conn::Sqlite(Box::new(conn));
    conn.batch("CREATE TABLE thing (id INTEGER PRIMARY KEY, name TEXT, octets BLOB, yes INTEGER) STRICT")
        .await
        .unwrap();
    (folder, conn)
}

#[tokio::test]
async fn values_come_back_as_they_were_bound() {
    let (_folder, mut conn) = opened().await;
    let insert = "INSERT INTO thing (id, name, octets, yes) VALUES (?, ?, ?, ?)";
    query(insert).bind(7_u32).bind("ā").bind(vec![0_u8, 255]).bind(true).execute(&mut conn).await.unwrap();
    let nothing = query(insert).bind(8_i64).bind(None::<String>).bind(None::<Vec<u8>>).bind(None::<bool>);
    nothing.execute(&mut conn).await.unwrap();

    let rows = query("SELECT * FROM thing WHERE id IN (?2, ?1) ORDER BY id").bind(8_i64).bind(7_i64);
    let rows = rows.fetch_all(&mut conn).await.unwrap();
    assert_eq!(rows[0].get::<&str>("name").unwrap(), "ā");
    assert_eq!(rows[0].get::<&[u8]>("octets").unwrap(), [0, 255]);
    assert!(rows[0].get::<bool>("yes").unwrap());
    assert_eq!(rows[0].get::<Option<u32>>("id").unwrap(), Some(7));
    assert_eq!(rows[1].get::<Option<String>>("name").unwrap(), None);
    assert_eq!(query_scalar::<i64>("SELECT count(*) FROM thing").fetch_one(&mut conn).await.unwrap(), 2);
    let pair = query_as::<(i64, Option<String>)>("SELECT id, name FROM thing ORDER BY id LIMIT 1");
    assert_eq!(pair.fetch_optional(&mut conn).await.unwrap(), Some((7, Some("ā".to_owned()))));
}

#[tokio::test]
async fn a_value_of_another_type_is_named_by_its_column_and_never_shown() {
    let (_folder, mut conn) = opened().await;
    query("INSERT INTO thing (id, name) VALUES (1, ?)").bind("secret").execute(&mut conn).await.unwrap();
    let row = query("SELECT * FROM thing").fetch_one(&mut conn).await.unwrap();
    let said = row.get::<i64>("name").unwrap_err().to_string();
    assert!(said.contains("name: text") && !said.contains("secret"), "{said}");
    assert!(row.get::<String>("octets").unwrap_err().to_string().contains("octets: nothing"));
    assert!(row.get::<String>("colour").unwrap_err().to_string().contains("no such column"));
    let none = query("SELECT id FROM thing WHERE id = 2").fetch_one(&mut conn).await.unwrap_err();
    assert!(none.to_string().contains("SELECT id FROM thing"), "{none}");
}

#[tokio::test]
async fn readers_do_not_write() {
    let (folder, _conn) = opened().await;
    let mut readers = Conn::SqliteReaders(Readers::open(&folder.path().join("db"), 2).unwrap());
    assert!(query("DELETE FROM thing").execute(&mut readers).await.is_err());
    assert!(query("DELETE FROM thing RETURNING id").fetch_all(&mut readers).await.is_err());
    assert!(query("SELECT * FROM thing").fetch_all(&mut readers).await.unwrap().is_empty());
}

#[test]
fn placeholders_become_numbers() {
    assert_eq!(numbered("SELECT ?, ? FROM t WHERE a = ?"), "SELECT $1, $2 FROM t WHERE a = $3");
    assert_eq!(numbered("SELECT ?2 || ?1, ?12"), "SELECT $2 || $1, $12");
    assert_eq!(numbered("SELECT 1"), "SELECT 1");
}

/// sqlx's count was below nought for a moment in a run of the laboratory; the writer ended, and its node.
#[test]
fn a_count_of_idle_connections_that_cannot_be_is_no_reason_to_end() {
    assert_eq!(tries(0, 12), 1);
    assert_eq!(tries(5, 12), 6);
    assert_eq!(tries(usize::MAX, 12), 13);
}
