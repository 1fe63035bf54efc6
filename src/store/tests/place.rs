//! Where the payloads of a test lie: the same tests for a folder and for a bucket.

use std::path::PathBuf;

use conformance::s3::{ACCESS_KEY, BUCKET, S3, SECRET_KEY};

use super::*;

/// What the names of all objects begin with.
pub(super) const PREFIX: &str = "north/tilts";

/// A store's folder, and the S3 server beside it.
pub(in crate::store) struct Place {
    folder: tempfile::TempDir,
    pub server: Option<S3>,
}

impl Place {
    pub fn folder() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), server: None }
    }

    pub fn bucket() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = S3::start(&folder.path().join("s3"), None).unwrap();
        Self { folder, server: Some(server) }
    }

    pub fn server(&self) -> &S3 {
        self.server.as_ref().unwrap()
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The folder in which published payloads can be seen.
    pub fn payloads(&self) -> PathBuf {
        match &self.server {
            Some(server) => server.folder(PREFIX),
            None => self.path().join("payloads"),
        }
    }

    pub async fn config(&self) -> Config {
        self.config_of(self.path()).await
    }

    /// The configuration of a node in that folder.
    pub async fn config_of(&self, path: &Path) -> Config {
        Config { s3: self.server.as_ref().map(|server| s3_at(&server.url())), ..config(path).await }
    }

    pub async fn open(&self) -> Store {
        Store::open(&self.config().await, Clock::manual(noon())).await.unwrap()
    }
}

/// How a store asks the server at that address.
pub(super) fn s3_at(url: &str) -> S3Config {
    S3Config {
        bucket: BUCKET.to_owned(),
        prefix: PREFIX.to_owned(),
        region: "us-east-1".to_owned(),
        endpoint: Some(url.to_owned()),
        path_style: true,
        access_key: ACCESS_KEY.to_owned(),
        secret_key: SECRET_KEY.to_owned(),
        http: conformance::s3::client(),
    }
}

/// The names of what is published, in order.
pub(super) fn published(store: &Store) -> Vec<String> {
    let mut names: Vec<String> =
        store.spool().shelf().list().unwrap().into_iter().map(|kept| kept.name).collect();
    names.sort_unstable();
    names
}
