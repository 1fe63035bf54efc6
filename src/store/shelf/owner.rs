//! To which database published payloads belong: nodes on another one would take them for left over, and remove them.
//!
//! A database has an id (`owner`), and so has what lies in a folder or below a prefix: the file or object `owner` there. They are compared
//! at each start.

use super::super::Error;
use super::super::sql::{self, Conn};
use super::{Kept, Shelf};

/// Looks whether what lies there is ours, and takes the place where it is nobody's; of a bucket also whether it is there and does what it
/// must. `conn` is the database with that id.
///
/// # Errors
/// [`Error::Bucket`] with what the object store answered; [`Error::Foreign`]; the disk's and the database's.
pub(in crate::store) async fn claim(
    shelf: &Shelf,
    conn: &mut Conn,
    id: &str,
    node: &str,
) -> Result<(), Error> {
    if let Shelf::Bucket(bucket) = shelf {
        bucket.try_out(node).await?;
    }
    if owner(shelf).await?.is_none() {
        match shelf {
            Shelf::Folder(folder) if !is_named(folder.list()?, conn).await? => {
                return Err(foreign(shelf, None));
            }
            Shelf::Folder(folder) => folder.take(id)?,
            Shelf::Bucket(bucket) => bucket.take(id).await?,
        }
    }
    // Read back: another database may have taken it at the same time.
    match owner(shelf).await? {
        Some(owner) if owner == id => Ok(()),
        owner => Err(foreign(shelf, owner)),
    }
}

/// Whether the database names any of these. Before there were owners of folders, payloads lay there without: whose they are, they say
/// themselves, however often a node of another database is started.
async fn is_named(lying: Vec<Kept>, conn: &mut Conn) -> Result<bool, Error> {
    let nothing = lying.is_empty();
    for file in lying {
        let named: Option<i64> = sql::query_scalar("SELECT 1 FROM payload_form WHERE file = ?")
            .bind(file.name)
            .fetch_optional(conn)
            .await?;
        if named.is_some() {
            return Ok(true);
        }
    }
    Ok(nothing)
}

async fn owner(shelf: &Shelf) -> Result<Option<String>, Error> {
    match shelf {
        Shelf::Folder(folder) => folder.owner(),
        Shelf::Bucket(bucket) => bucket.owner().await,
    }
}

fn foreign(shelf: &Shelf, owner: Option<String>) -> Error {
    Error::Foreign { place: shelf.told(""), owner: owner.unwrap_or_else(|| "unknown".to_owned()) }
}

/// The id of a database: made when first asked for, the same ever after.
///
/// # Errors
/// The database's.
pub(in crate::store) async fn id(conn: &mut Conn) -> Result<String, Error> {
    sql::query("INSERT INTO owner (one, id) VALUES (1, ?) ON CONFLICT DO NOTHING")
        .bind(uuid::Uuid::new_v4().to_string())
        .execute(conn)
        .await?;
    sql::query_scalar("SELECT id FROM owner").fetch_one(conn).await
}
