//! Promise 6 on trial: payloads far larger than the memory of the processes that carry them.
//!
//! Nothing here holds a payload either: it is made, sent, fetched and hashed in chunks.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper_util::rt::TokioIo;
use openssl::sha::Sha256;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufWriter};
use tokio::net::TcpStream;

use crate::demo::{self, list, status_of};
use crate::http;
use crate::node::{free, peak_memory};
use crate::random::Random;
use crate::s3::S3;
use crate::world::{AccessPoint, ENVELOPE, EVIDENCE, PROCESS, Registry, World};

/// Most resident memory that a process may ever have used, in octets.
pub const MOST_MEMORY: u64 = 100 << 20;
const LATVIA: &str = "iso6523-actorid-upis::0218:90000000001";
const BOUNDARY: &str = "tilts-large";
const CHUNK: usize = 256 * 1024;

/// What a payload is made of.
#[derive(Debug, Clone, Copy)]
pub enum Content {
    /// Noise that does not shrink.
    Noise,
    /// Zeros, which shrink about a thousandfold.
    Zeros,
}

/// Latvia and A, both with a REST backend.
pub struct Large {
    latvia: AccessPoint,
    a: AccessPoint,
    world: World,
    _registry: Registry,
    /// Where both keep their payloads, if not in folders.
    bucket: Option<S3>,
    done: usize,
}

/// What a transfer took.
#[derive(Debug, Clone, Copy)]
pub struct Figures {
    /// Submission until the node said that it is durable.
    pub submitted: Duration,
    /// From then until it was fetched and compared.
    pub carried: Duration,
}

impl Large {
    /// Makes the world with `recipients` participants at A and starts both nodes.
    pub async fn set_up(root: &Path, tilts: &Path, recipients: usize) -> Result<Self> {
        Self::on(root, tilts, recipients, None).await
    }

    /// The same with the payloads of both nodes in a bucket.
    pub async fn in_a_bucket(root: &Path, tilts: &Path, recipients: usize, bucket: S3) -> Result<Self> {
        Self::on(root, tilts, recipients, Some(bucket)).await
    }

    async fn on(root: &Path, tilts: &Path, recipients: usize, bucket: Option<S3>) -> Result<Self> {
        let world = World::new(root, tilts)?;
        let resolver = free()?;
        let mut latvia = world.access_point("lv", 2048, resolver, &part("office"))?;
        let mut a = world.access_point("a", 2048, resolver, &part("people"))?;
        let people: Vec<String> = (0..recipients).map(participant).collect();
        let mut entries = vec![(LATVIA, &latvia, EVIDENCE)];
        entries.extend(people.iter().map(|p| (p.as_str(), &a, ENVELOPE)));
        let registry = world.registry(&entries, resolver).await?;
        for point in [&mut latvia, &mut a] {
            if let Some(bucket) = &bucket {
                keep_in(bucket, &world.root.join(&point.name), &point.name)?;
            }
            point.node.start().await?;
        }
        Ok(Self { latvia, a, world, _registry: registry, bucket, done: 0 })
    }

    /// Sends one payload to `recipients` recipients; each copy is fetched, compared and taken, and Latvia learns of it.
    pub async fn transfer(&mut self, content: Content, octets: u64, recipients: usize) -> Result<Figures> {
        self.done += 1;
        let begun = Instant::now();
        let (id, digest) = self.submit(content, octets, recipients).await?;
        let submitted = begun.elapsed();
        let until = Instant::now() + Duration::from_secs(1200);
        let mut taken = 0;
        while taken < recipients {
            taken += self.take(octets, &digest).await?;
            ensure!(Instant::now() < until, "{taken} of {recipients} arrived: {}", self.told(&id).await?);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let carried = begun.elapsed() - submitted;
        while !self.delivered(&id).await? {
            ensure!(Instant::now() < until, "not delivered: {}", self.told(&id).await?);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(Figures { submitted, carried })
    }

    async fn submit(&self, content: Content, octets: u64, recipients: usize) -> Result<(String, [u8; 32])> {
        let people: Vec<Value> = (0..recipients).map(|n| json!({ "participant": participant(n) })).collect();
        let description = json!({
            "client_id": format!("large-{}", self.done),
            "original_sender": LATVIA,
            "recipients": people,
            "document_type": ENVELOPE,
            "process": PROCESS,
        });
        let (answer, digest) = upload(self.latvia.node.ports.backend, &description, content, octets).await?;
        Ok((answer["id"].as_str().with_context(|| format!("no id: {answer}"))?.to_owned(), digest))
    }

    /// Fetches, compares and acknowledges what is listed.
    async fn take(&self, octets: u64, digest: &[u8; 32]) -> Result<usize> {
        let backend = self.a.node.ports.backend;
        let listed = http::get(backend, "/v1/messages").await?;
        let mut taken = 0;
        for message in list(&listed["messages"]) {
            let id = message["id"].as_str().context("no id")?;
            let (size, found) = download(backend, &format!("/v1/messages/{id}/parts/0")).await?;
            ensure!(size == octets && found == *digest, "{id}: {size} octets, or their digest, differ");
            let path = format!("/v1/messages/{id}/acknowledge");
            http::post(backend, &path, &json!({ "outcome": "accepted" })).await?;
            taken += 1;
        }
        Ok(taken)
    }

    async fn told(&self, id: &str) -> Result<Value> {
        http::get(self.latvia.node.ports.admin, &format!("/api/submissions/{id}")).await
    }

    async fn delivered(&self, id: &str) -> Result<bool> {
        let detail = self.told(id).await?;
        let statuses = list(&detail["submission"]["recipients"]).map(status_of);
        Ok(statuses.into_iter().all(|s| s.send == demo::SENT && s.delivery == demo::DELIVERED))
    }

    /// Peak resident memory of Latvia and of A so far, in octets; an error when one is over [`MOST_MEMORY`].
    pub fn memory(&self) -> Result<(u64, u64)> {
        let peak = |point: &AccessPoint| peak_memory(point.node.pid().context("it does not run")?);
        let (latvia, a) = (peak(&self.latvia)?, peak(&self.a)?);
        let most = latvia.max(a);
        ensure!(most < MOST_MEMORY, "peak memory is {} MB at Latvia, {} MB at A", latvia >> 20, a >> 20);
        Ok((latvia, a))
    }

    /// Octets of the payload files that Latvia keeps.
    pub fn stored(&self) -> Result<u64> {
        let mut sum = 0;
        let folder = match &self.bucket {
            Some(bucket) => bucket.folder("lv"),
            None => self.world.root.join("lv/data/payloads"),
        };
        for shard in fs::read_dir(folder)?.filter_map(Result::ok).filter(|shard| shard.path().is_dir()) {
            for file in fs::read_dir(shard.path())? {
                sum += file?.metadata()?.len();
            }
        }
        Ok(sum)
    }
}

fn keep_in(bucket: &S3, folder: &Path, prefix: &str) -> Result<()> {
    let (config, own) = (folder.join("tilts.toml"), "path = \"data\"\n");
    let text = fs::read_to_string(&config)?;
    let more = bucket.configuration(folder, prefix)?;
    ensure!(text.contains(own), "{} has no {own:?}", config.display());
    Ok(fs::write(&config, text.replace(own, &format!("{own}{more}")))?)
}

/// Posts a description and one payload as multipart/related; gives the answer and the payload's SHA-256.
async fn upload(
    to: SocketAddr,
    description: &Value,
    content: Content,
    octets: u64,
) -> Result<(Value, [u8; 32])> {
    let head = format!(
        "--{BOUNDARY}\r\nContent-Type: application/json\r\nContent-ID: <d>\r\n\r\n{description}\r\n--{BOUNDARY}\r\n\
         Content-Type: application/octet-stream\r\nContent-ID: <1>\r\nContent-Transfer-Encoding: binary\r\n\r\n"
    );
    let end = format!("\r\n--{BOUNDARY}--\r\n");
    let length = head.len() as u64 + octets + end.len() as u64;
    let stream = TcpStream::connect(to).await?;
    let mut stream = BufWriter::with_capacity(CHUNK, stream);
    let request = format!(
        "POST /v1/submissions HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\nContent-Length: {length}\r\n\
         Content-Type: multipart/related; boundary=\"{BOUNDARY}\"; type=\"application/json\"\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    stream.write_all(head.as_bytes()).await?;
    let digest = write_payload(&mut stream, content, octets).await.context("the node stopped reading")?;
    stream.write_all(end.as_bytes()).await?;
    stream.flush().await?;
    let mut answer = Vec::new();
    stream.into_inner().read_to_end(&mut answer).await?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (status, body) = answer.split_once("\r\n\r\n").context("no whole answer")?;
    if !status.starts_with("HTTP/1.1 201") {
        bail!("{answer}");
    }
    Ok((serde_json::from_str(body)?, digest))
}

async fn write_payload(
    stream: &mut BufWriter<TcpStream>,
    content: Content,
    octets: u64,
) -> std::io::Result<[u8; 32]> {
    let mut random = Random::new(octets);
    let mut hash = Sha256::new();
    let mut chunk = vec![0; CHUNK];
    let mut left = octets;
    while left > 0 {
        let count = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
        if matches!(content, Content::Noise) {
            random.fill(&mut chunk[..count]);
        }
        hash.update(&chunk[..count]);
        stream.write_all(&chunk[..count]).await?;
        left -= count as u64;
    }
    Ok(hash.finish())
}

/// Size and SHA-256 of what a GET gives.
pub async fn download(from: SocketAddr, path: &str) -> Result<(u64, [u8; 32])> {
    let stream = TcpStream::connect(from).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let request = Request::get(path).header("host", from.to_string()).body(Empty::<Bytes>::new())?;
    let response = sender.send_request(request).await?;
    ensure!(response.status().is_success(), "GET {path}: HTTP {}", response.status());
    let mut body = response.into_body();
    let (mut size, mut hash) = (0, Sha256::new());
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            size += data.len() as u64;
            hash.update(&data);
        }
    }
    Ok((size, hash.finish()))
}

fn participant(n: usize) -> String {
    format!("iso6523-actorid-upis::0191:{}", 30_000_000 + n)
}

/// Zeros shrink about a thousandfold, which the default ratio of 200 refuses as a gzip bomb: allowed openly here.
fn part(backend: &str) -> String {
    format!(
        "\n[[backend]]\nid = \"{backend}\"\nadapter = \"rest\"\n\n[limits]\ninflate_ratio = 1200\nexchange_seconds = 600\n"
    )
}
