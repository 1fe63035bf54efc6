//! To which database the payloads of a bucket belong: nodes on another one would take them for left over, and remove them.
//!
//! A database has an id (`owner`), and so has what lies below a prefix: the object `<prefix>/owner`. They are compared at each start.

use super::super::Error;
use super::super::sql::{self, Conn};
use super::Shelf;

/// Looks whether a bucket is there and does what it must, and whether it is ours; takes it where it is nobody's. A folder is where the
/// operator put it.
///
/// # Errors
/// [`Error::Bucket`] with what the object store answered; [`Error::Foreign`]; the database's.
pub(in crate::store) async fn claim(shelf: &Shelf, id: &str, node: &str) -> Result<(), Error> {
    let Shelf::Bucket(bucket) = shelf else { return Ok(()) };
    bucket.try_out(node).await?;
    if bucket.owner().await?.is_none() {
        bucket.take(id).await?;
    }
    // Read back: another database may have taken it at the same time.
    match bucket.owner().await? {
        Some(owner) if owner == id => Ok(()),
        owner => Err(Error::Foreign { place: bucket.told(""), owner: owner.unwrap_or_default() }),
    }
}

/// The id of a database: made when first asked for, the same ever after.
///
/// # Errors
/// The database's.
pub(in crate::store) async fn id(conn: &mut Conn) -> Result<String, Error> {
    let new = uuid::Uuid::new_v4().to_string();
    sql::query("INSERT INTO owner (one, id) VALUES (1, ?) ON CONFLICT DO NOTHING")
        .bind(new)
        .execute(conn)
        .await?;
    sql::query_scalar("SELECT id FROM owner").fetch_one(conn).await
}
