//! Where published payloads lie: a folder, or a bucket of an object store (S3) that several nodes share.
//!
//! A payload is published under a name once, and never changed. What [`Shelf::publish`] has given back without an error is there
//! for whoever asks, after any crash; only then may a row name it (design 2, promise 4).

mod bucket;
mod crypto;
mod folder;
mod owner;
mod reader;
mod s3;
mod said;

use std::time::Duration;

use tempfile::NamedTempFile;

pub use s3::S3Config;

use super::payload_reader::Octets;
use super::{Config, Error};
use bucket::Bucket;
use folder::Folder;
pub(super) use folder::read_dir;
pub(super) use owner::{claim, id};

/// A place of published payloads. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) enum Shelf {
    /// A folder of this machine, or one that several share.
    Folder(Folder),
    /// A bucket.
    Bucket(Bucket),
}

/// What lies there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kept {
    /// The name under which it was published.
    pub name: String,
    /// Octets, where a listing says so.
    pub size: Option<u64>,
}

impl Shelf {
    /// The place that the configuration names. Nothing is asked or made yet.
    ///
    /// # Errors
    /// [`Error::Bucket`] when nothing can be asked with this configuration.
    pub fn of(config: &Config) -> Result<Self, Error> {
        match &config.s3 {
            Some(s3) => Bucket::new(s3).map(Self::Bucket),
            None => {
                let own = || config.path.join("payloads");
                let path = config.payloads.clone().unwrap_or_else(own);
                Ok(Self::Folder(Folder::new(path, config.hands.clone())))
            }
        }
    }

    /// Makes what of it is missing. A bucket is not made: see [`owner::claim`].
    ///
    /// # Errors
    /// The disk's.
    pub fn prepare(&self) -> Result<(), Error> {
        match self {
            Self::Folder(folder) => folder.prepare(),
            Self::Bucket(_) => Ok(()),
        }
    }

    /// Publishes a file that is complete; it is durable then. Blocking.
    ///
    /// # Errors
    /// The disk's, or [`Error::Bucket`]; whether it was published is not known then.
    pub fn publish(&self, file: NamedTempFile, name: &str) -> Result<(), Error> {
        match self {
            Self::Folder(folder) => folder.publish(file, name),
            Self::Bucket(bucket) => bucket.publish(&file, name),
        }
    }

    /// Opens what was published. Reading is blocking.
    ///
    /// # Errors
    /// As of [`Shelf::publish`].
    pub async fn open(&self, name: &str) -> Result<Octets, Error> {
        match self {
            Self::Folder(folder) => folder.open(name),
            Self::Bucket(bucket) => bucket.open(name).await,
        }
    }

    /// Everything that lies there. Blocking.
    ///
    /// # Errors
    /// As of [`Shelf::publish`].
    pub fn list(&self) -> Result<Vec<Kept>, Error> {
        match self {
            Self::Folder(folder) => folder.list(),
            Self::Bucket(bucket) => bucket.list_shard(None),
        }
    }

    /// What lies there in one shard. Blocking.
    ///
    /// # Errors
    /// As of [`Shelf::publish`].
    pub fn list_shard(&self, shard: &str) -> Result<Vec<Kept>, Error> {
        match self {
            Self::Folder(folder) => folder.list_shard(shard),
            Self::Bucket(bucket) => bucket.list_shard(Some(shard)),
        }
    }

    /// Octets of what lies under a name; why not, in words, where nothing does. Blocking.
    ///
    /// # Errors
    /// [`Error::Bucket`] when nobody can say.
    pub fn size(&self, name: &str) -> Result<Result<u64, String>, Error> {
        match self {
            Self::Folder(folder) => Ok(folder.size(name)),
            Self::Bucket(bucket) => bucket.size(name),
        }
    }

    /// True for what was published so long ago at least; false when nobody can say. Blocking.
    pub fn older(&self, name: &str, time: Duration) -> bool {
        match self {
            Self::Folder(folder) => folder.older(name, time),
            Self::Bucket(bucket) => bucket.older(name, time),
        }
    }

    /// Removes what lies under these names; what is gone already is no error. Blocking.
    ///
    /// # Errors
    /// As of [`Shelf::publish`].
    pub fn remove(&self, names: &[String]) -> Result<(), Error> {
        match self {
            Self::Folder(folder) => {
                // One that cannot be removed does not keep the others.
                let failed = names.iter().filter_map(|name| folder.remove(name).err());
                failed.reduce(|first, _| first).map_or(Ok(()), Err)
            }
            Self::Bucket(bucket) => bucket.remove(names),
        }
    }

    /// How a name is told to an operator.
    pub fn told(&self, name: &str) -> String {
        match self {
            Self::Folder(folder) => folder.path(name).display().to_string(),
            Self::Bucket(bucket) => bucket.told(name),
        }
    }
}

/// Whether a name has the form of ours: a shard of two digits, and a file in it. A shared place holds other things too.
fn is_payload(name: &str) -> bool {
    name.split_once('/').is_some_and(|(shard, file)| shard.len() == 2 && !file.is_empty())
}
