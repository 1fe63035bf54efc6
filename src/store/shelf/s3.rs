//! `[store.s3]`: which bucket, and how it is asked.

use std::fmt;
use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::client::{HttpClient, HttpConnector};
use object_store::{BackoffConfig, ClientOptions, RetryConfig};

use super::crypto::OpenSsl;

/// How often a request that failed for a passing reason is tried again.
const RETRIES: usize = 3;
/// Pauses between tries, the first and the longest.
const PAUSES: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(2)];
/// So long after its begin reading of an object is taken up again where it broke off.
const TAKEN_UP: Duration = Duration::from_secs(6 * 3600);

/// A bucket of an object store that speaks S3, for the payloads of a node or of several on one database.
#[derive(Clone)]
pub struct S3Config {
    /// Name of the bucket; it exists.
    pub bucket: String,
    /// What the names of all objects begin with, without a slash at its ends.
    pub prefix: String,
    /// Region of the bucket.
    pub region: String,
    /// Scheme and authority of a server that is not Amazon's.
    pub endpoint: Option<String>,
    /// The bucket is named in the path of a URL, not in its host.
    pub path_style: bool,
    /// Id of the access key.
    pub access_key: String,
    /// The secret that belongs to it.
    pub secret_key: String,
    /// What carries the requests.
    pub http: HttpClient,
}

impl fmt::Debug for S3Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "S3Config({}, {})", self.url(), self.prefix)
    }
}

impl S3Config {
    /// Where the bucket is, as an operator knows it.
    pub(super) fn url(&self) -> String {
        let scheme_and_host = match &self.endpoint {
            Some(endpoint) => endpoint.trim_end_matches('/').to_owned(),
            None => format!("https://s3.{}.amazonaws.com", self.region),
        };
        match (self.path_style, scheme_and_host.split_once("://")) {
            (false, Some((scheme, host))) => format!("{scheme}://{}.{host}", self.bucket),
            _ => format!("{scheme_and_host}/{}", self.bucket),
        }
    }

    /// The client of the bucket.
    pub(super) fn client(&self) -> Result<AmazonS3, object_store::Error> {
        let plain = self.endpoint.as_ref().is_some_and(|endpoint| endpoint.starts_with("http://"));
        let [init_backoff, max_backoff] = PAUSES;
        let backoff = BackoffConfig { init_backoff, max_backoff, base: 2.0 };
        let builder = AmazonS3Builder::new()
            .with_bucket_name(&self.bucket)
            .with_region(&self.region)
            .with_access_key_id(&self.access_key)
            .with_secret_access_key(&self.secret_key)
            .with_crypto_provider(std::sync::Arc::new(OpenSsl))
            .with_http_connector(Given(self.http.clone()))
            .with_virtual_hosted_style_request(!self.path_style)
            .with_allow_http(plain)
            // Some servers have no request for many at once.
            .with_disable_bulk_delete(true)
            .with_retry(RetryConfig { backoff, max_retries: RETRIES, retry_timeout: TAKEN_UP });
        match (&self.endpoint, self.path_style) {
            (None, _) => builder.build(),
            (Some(endpoint), true) => builder.with_endpoint(endpoint).build(),
            // The library wants the bucket in it.
            (Some(_), false) => builder.with_endpoint(self.url()).build(),
        }
    }
}

/// A connector that was made already.
#[derive(Debug)]
struct Given(HttpClient);

impl HttpConnector for Given {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(self.0.clone())
    }
}
