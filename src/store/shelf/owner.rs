//! To which database published payloads belong: nodes on another one would take them for left over, and remove them.
//!
//! A database has an id (`owner`), and so has what lies in a folder or below a prefix: the file or object `owner` there. They are compared
//! at each start.

use super::super::Error;
use super::super::sql::{self, Conn};
use super::Shelf;

/// The id of a database.
#[derive(Debug)]
pub(in crate::store) struct Id {
    id: String,
    /// Made just now: whatever payloads there are, they are not of this database.
    new: bool,
}

/// Looks whether what lies there is ours, and takes the place where it is nobody's; of a bucket also whether it is there and does what it
/// must.
///
/// # Errors
/// [`Error::Bucket`] with what the object store answered; [`Error::Foreign`]; the disk's and the database's.
pub(in crate::store) async fn claim(shelf: &Shelf, id: &Id, node: &str) -> Result<(), Error> {
    if let Shelf::Bucket(bucket) = shelf {
        bucket.try_out(node).await?;
    }
    if owner(shelf).await?.is_none() {
        // Before there were owners of folders, payloads lay there without.
        if let (true, Shelf::Folder(folder)) = (id.new, shelf)
            && !folder.list()?.is_empty()
        {
            return Err(foreign(shelf, None));
        }
        match shelf {
            Shelf::Folder(folder) => folder.take(&id.id)?,
            Shelf::Bucket(bucket) => bucket.take(&id.id).await?,
        }
    }
    // Read back: another database may have taken it at the same time.
    match owner(shelf).await? {
        Some(owner) if owner == id.id => Ok(()),
        owner => Err(foreign(shelf, owner)),
    }
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
pub(in crate::store) async fn id(conn: &mut Conn) -> Result<Id, Error> {
    let made = sql::query("INSERT INTO owner (one, id) VALUES (1, ?) ON CONFLICT DO NOTHING")
        .bind(uuid::Uuid::new_v4().to_string())
        .execute(conn)
        .await?;
    let id = sql::query_scalar("SELECT id FROM owner").fetch_one(conn).await?;
    Ok(Id { id, new: made == 1 })
}
