//! Payloads in a bucket: an object each, below a prefix.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt, TryStreamExt};
use object_store::aws::AmazonS3;
use object_store::path::Path as Key;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt, WriteMultipart};
use tempfile::NamedTempFile;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use super::super::Error;
use super::super::direct::DirectReader;
use super::super::payload_reader::Octets;
use super::reader::ObjectReader;
use super::said::said;
use super::{Kept, S3Config, is_payload};
use crate::crash;

/// A larger payload is sent in parts of this size, the smallest that S3 takes.
const PART: u64 = 5 << 20;
/// Parts of an object at most (S3), less some.
const PARTS: u64 = 9_000;
/// Parts of one object under way at a time, besides the one that is being read.
const UNDER_WAY: u64 = 2;
/// What all uploads together may hold in memory: so many pieces of so many octets.
const MEMORY: u32 = 1024;
const PIECE: u64 = 64 << 10;
/// An upload that takes longer is given up: what S3 says of the age of an object may count from its begin, and what looks like left
/// over to another node ([`super::super::SETTLED`]) must be named by then.
const UPLOAD: Duration = Duration::from_secs(30 * 60);

/// A bucket. Cheap to clone.
#[derive(Debug, Clone)]
pub(in crate::store) struct Bucket(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    objects: AmazonS3,
    prefix: Key,
    url: Arc<str>,
    memory: Semaphore,
    runtime: Handle,
}

impl Bucket {
    /// On the runtime of whoever calls: its threads carry the requests.
    pub fn new(config: &S3Config) -> Result<Self, Error> {
        let url: Arc<str> = config.url().into();
        let objects = config.client().map_err(|error| refused(&url, "ask", &error))?;
        let runtime = Handle::try_current().map_err(|_| Error::Closed)?;
        let prefix = Key::from(config.prefix.as_str());
        Ok(Self(Arc::new(Inner { objects, prefix, url, memory: Semaphore::new(MEMORY as usize), runtime })))
    }

    /// Waits for a request, on a thread that may wait or one of several that carry requests.
    pub fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        tokio::task::block_in_place(|| self.0.runtime.block_on(work))
    }

    /// What the bucket said when it was to do that with what lies under a name, as an error of the store.
    pub fn refused(&self, act: &str, name: &str, error: &object_store::Error) -> Error {
        refused(&self.0.url, &format!("{act} {}", self.key(name)), error)
    }

    fn saying<'s>(&'s self, act: &'s str, name: &'s str) -> impl Fn(object_store::Error) -> Error + 's {
        move |error| self.refused(act, name, &error)
    }

    fn failed(&self, act: &str, name: &str, said: &str, remedy: &'static str) -> Error {
        let act = format!("{act} {}", self.key(name)).into();
        Error::Bucket { url: self.0.url.clone(), act, said: said.into(), remedy }
    }

    fn key(&self, name: &str) -> Key {
        let parts = name.split('/').filter(|part| !part.is_empty());
        parts.fold(self.0.prefix.clone(), |key, part| key.join(part))
    }

    /// How a name is told to an operator; the prefix, for an empty one.
    pub fn told(&self, name: &str) -> String {
        format!("{}/{}", self.0.url, self.key(name))
    }

    pub fn publish(&self, file: &NamedTempFile, name: &str) -> Result<(), Error> {
        let size = file.as_file().metadata().map_err(Error::io(file.path()))?.len();
        let within = async { tokio::time::timeout(UPLOAD, self.upload(file.path(), size, name)).await };
        self.wait(within).unwrap_or_else(|_| {
            let said = format!("it was given up after {} minutes", UPLOAD.as_secs() / 60);
            Err(self.failed("write", name, &said, "see what keeps the network to it so slow"))
        })?;
        crash::at(crash::Point::PayloadRenamed);
        Ok(())
    }

    /// Sends a file and sees that it is there whole. Memory does not grow with it.
    async fn upload(&self, file: &Path, size: u64, name: &str) -> Result<(), Error> {
        let part = PART.max(size.div_ceil(PARTS));
        let room = size.min(part * (UNDER_WAY + 1)).div_ceil(PIECE);
        let room = u32::try_from(room).unwrap_or(MEMORY).clamp(1, MEMORY);
        let _room = self.0.memory.acquire_many(room).await.map_err(|_| Error::Closed)?;
        let mut octets = DirectReader::open(file).map_err(Error::io(file))?;
        if size <= part {
            let whole = piece(&mut octets, size).map_err(Error::io(file))?;
            self.put(name, whole).await?;
        } else {
            self.in_parts((octets, file), name, part).await?;
        }
        let there = self.head(name).await?.size;
        if there != size {
            let said = format!("it has {there} octets after an upload of {size}");
            return Err(self.failed("write", name, &said, "see whether somebody else writes there"));
        }
        Ok(())
    }

    async fn in_parts(
        &self,
        (mut octets, file): (Octets, &Path),
        name: &str,
        size: u64,
    ) -> Result<(), Error> {
        let saying = self.saying("write", name);
        let upload = self.0.objects.put_multipart(&self.key(name)).await.map_err(&saying)?;
        let chunk = usize::try_from(size).unwrap_or(usize::MAX);
        let mut parts = WriteMultipart::new_with_chunk_size(upload, chunk);
        let filled = async {
            loop {
                parts.wait_for_capacity(UNDER_WAY as usize).await.map_err(&saying)?;
                let next = piece(&mut octets, size).map_err(Error::io(file))?;
                if next.is_empty() {
                    return Ok(());
                }
                parts.put(next);
            }
        };
        match filled.await {
            Ok(()) => parts.finish().await.map(drop).map_err(saying),
            Err(error) => {
                // If nobody hears that, the bucket's own rule for parts that were never put together removes them.
                let _ = parts.abort().await;
                Err(error)
            }
        }
    }

    async fn put(&self, name: &str, octets: Bytes) -> Result<(), Error> {
        let put = self.0.objects.put(&self.key(name), octets.into()).await;
        put.map(drop).map_err(self.saying("write", name))
    }

    async fn head(&self, name: &str) -> Result<ObjectMeta, Error> {
        self.0.objects.head(&self.key(name)).await.map_err(self.saying("read", name))
    }

    /// The octets of an object, from its beginning.
    pub fn get(&self, name: &str) -> Result<BoxStream<'static, object_store::Result<Bytes>>, Error> {
        let found = self.wait(self.0.objects.get(&self.key(name))).map_err(self.saying("read", name))?;
        Ok(found.into_stream())
    }

    /// Looks that an object is there; it is asked for when it is read.
    pub async fn open(&self, name: &str) -> Result<Octets, Error> {
        let there = self.head(name).await?;
        Ok(Box::new(ObjectReader::new(self.clone(), name, there.size)))
    }

    /// Of all shards where none is given.
    pub fn list_shard(&self, shard: Option<&str>) -> Result<Vec<Kept>, Error> {
        let of = shard.map_or_else(|| self.0.prefix.clone(), |shard| self.key(shard));
        let all = self.0.objects.list(Some(&of));
        let kept = all.try_filter_map(|object| {
            let name = object.location.as_ref().strip_prefix(self.0.prefix.as_ref());
            let name = name.map(|name| name.trim_start_matches('/')).filter(|name| is_payload(name));
            let kept = name.map(|name| Kept { name: name.to_owned(), size: Some(object.size) });
            std::future::ready(Ok(kept))
        });
        self.wait(kept.try_collect()).map_err(self.saying("list", ""))
    }

    pub fn size(&self, name: &str) -> Result<Result<u64, String>, Error> {
        match self.wait(self.0.objects.head(&self.key(name))) {
            Ok(there) => Ok(Ok(there.size)),
            Err(error @ object_store::Error::NotFound { .. }) => Ok(Err(said(&error).0)),
            Err(error) => Err(self.refused("read", name, &error)),
        }
    }

    pub fn older(&self, name: &str, time: Duration) -> bool {
        let there = self.wait(self.head(name));
        // Signatures hold for a quarter of an hour only: our clock and the server's are no further apart.
        let age = there.map(|there| SystemTime::now().duration_since(there.last_modified.into()));
        age.is_ok_and(|age| age.unwrap_or_default() >= time)
    }

    pub fn remove(&self, names: &[String]) -> Result<(), Error> {
        let keys: Vec<_> = names.iter().map(|name| Ok(self.key(name))).collect();
        let removed = self.0.objects.delete_stream(stream::iter(keys).boxed()).collect::<Vec<_>>();
        let failed = self.wait(removed).into_iter().find_map(|outcome| match outcome {
            Ok(_) | Err(object_store::Error::NotFound { .. }) => None,
            Err(error) => Some(error),
        });
        failed.map_or(Ok(()), |error| Err(self.refused("delete", "", &error)))
    }

    /// Lists, writes and deletes, so that what a node must do is not refused at its first message. What it reads is the owner.
    pub async fn try_out(&self, node: &str) -> Result<(), Error> {
        let first = self.0.objects.list(Some(&self.0.prefix)).next().await;
        first.transpose().map_err(self.saying("list", ""))?;
        let name = format!("trial/{node}");
        self.put(&name, Bytes::from_static(b"trial")).await?;
        self.0.objects.delete(&self.key(&name)).await.map_err(self.saying("delete", &name))
    }

    /// Whose the payloads are.
    pub async fn owner(&self) -> Result<Option<String>, Error> {
        let found = match self.0.objects.get(&self.key("owner")).await {
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            found => found.map_err(self.saying("read", "owner"))?,
        };
        let octets = found.bytes().await.map_err(self.saying("read", "owner"))?;
        Ok(Some(String::from_utf8_lossy(&octets).trim().to_owned()))
    }

    /// Makes them ours.
    pub async fn take(&self, id: &str) -> Result<(), Error> {
        self.put("owner", Bytes::from(id.to_owned())).await
    }
}

fn refused(url: &Arc<str>, act: &str, error: &object_store::Error) -> Error {
    let (said, remedy) = said(error);
    Error::Bucket { url: url.clone(), act: act.into(), said: said.into(), remedy }
}

/// The next octets, fewer only at the end.
fn piece(octets: &mut (dyn Read + Send), size: u64) -> std::io::Result<Bytes> {
    let mut piece = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
    octets.take(size).read_to_end(&mut piece)?;
    Ok(piece.into())
}
