//! `[store.s3]` as written.

use std::path::PathBuf;

use serde::Deserialize;

/// `[store.s3]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct S3 {
    /// Name of a bucket that exists.
    pub bucket: String,
    /// What the names of all objects begin with.
    #[serde(default = "prefix")]
    pub prefix: String,
    /// Region of the bucket.
    #[serde(default = "region")]
    pub region: String,
    /// `https://host:port` of a server; Amazon's when absent.
    pub endpoint: Option<String>,
    /// The bucket is named in the path; else in the host. In the path when absent and there is an endpoint.
    pub path_style: Option<bool>,
    /// File whose only line is the id of the access key.
    pub access_key_file: PathBuf,
    /// File whose only line is its secret.
    pub secret_key_file: PathBuf,
    /// PEM anchors of the server's TLS; the system's when absent.
    pub tls_trust: Option<PathBuf>,
    /// A server that is not on this machine may be asked without TLS.
    #[serde(default)]
    pub allow_http: bool,
}

fn prefix() -> String {
    "tilts".into()
}

fn region() -> String {
    "us-east-1".into()
}
