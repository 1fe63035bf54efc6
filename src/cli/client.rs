//! The commands that talk to a running node over HTTP: submit, status, retry, ping, evidence export. Only `serve` opens the
//! store (and `status --recompute`, read only, when no node runs).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use hyper::Method;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use serde_json::{Value, json};

use crate::app;
use crate::config::file::{File, Listener, Role, Token};
use crate::config::{Problems, anchors};
use crate::evidence::dossier;
use crate::pki::{Certificate, TrustStore};
use crate::transport::body::full;
use crate::transport::{Client, ClientConfig, ClientTimeouts, ClientTls, Egress, Request, ServerCheck};

/// Largest answer, in octets.
const ANSWER: usize = 256 << 20;

/// Where the node is.
#[derive(clap::Args)]
pub struct Node {
    /// The node's configuration: its listeners and tokens are read from it
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

/// Arguments of `tilts submit`.
#[derive(clap::Args)]
pub struct Submit {
    #[command(flatten)]
    node: Node,
    /// The backend in whose name to submit
    #[arg(long)]
    backend: Option<String>,
    /// The description, JSON as in the OpenAPI page
    description: PathBuf,
    /// The payloads; their Content-IDs are their file names
    payloads: Vec<PathBuf>,
}

/// Arguments of `tilts status`.
#[derive(clap::Args)]
pub struct Status {
    #[command(flatten)]
    node: Node,
    /// Id of the submission; without it the newest are listed
    id: Option<String>,
    /// Prove every status from its evidence and report broken chains
    #[arg(long)]
    recompute: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// Arguments of `tilts retry`.
#[derive(clap::Args)]
pub struct Retry {
    #[command(flatten)]
    node: Node,
    /// Id of the recipient
    #[arg(required_unless_present = "message", conflicts_with = "message")]
    recipient: Option<String>,
    /// Instead: id of an evidence message, as a notice `evidence-not-sent` names it
    #[arg(long, value_name = "ID")]
    message: Option<String>,
    /// Who orders it
    #[arg(long)]
    who: String,
    /// Why
    #[arg(long)]
    why: String,
}

impl Retry {
    /// Where the order is given.
    fn path(&self) -> String {
        match &self.message {
            Some(message) => format!("/api/messages/{message}/retry"),
            None => format!("/api/recipients/{}/retry", self.recipient.as_deref().unwrap_or_default()),
        }
    }
}

/// Arguments of `tilts ping`.
#[derive(clap::Args)]
pub struct Ping {
    #[command(flatten)]
    node: Node,
    /// The backend in whose name to submit
    #[arg(long)]
    backend: Option<String>,
    /// Whose access point: `scheme::value`
    participant: String,
    /// Domain or partner
    #[arg(long)]
    domain: Option<String>,
    /// Seconds to wait for the receipt
    #[arg(long, default_value_t = 30)]
    wait: u64,
}

/// Arguments of `tilts evidence`.
#[derive(clap::Args)]
pub struct Evidence {
    #[command(subcommand)]
    command: EvidenceCommand,
}

#[derive(clap::Subcommand)]
enum EvidenceCommand {
    /// Writes everything behind one recipient's status into a zip
    Export {
        #[command(flatten)]
        node: Node,
        /// Id of the recipient
        recipient: String,
        /// The zip to write
        #[arg(long, short)]
        out: PathBuf,
    },
    /// Checks such a zip; needs nothing else
    Verify {
        /// The zip
        zip: PathBuf,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

/// Runs `tilts submit`.
pub fn submit(args: Submit) -> ExitCode {
    done(asynchronously(async move {
        let (content_type, body) = multipart(&args.description, &args.payloads)?;
        let path = format!("/v1/submissions{}", query(args.backend.as_deref()));
        let answer =
            Desk::backend(&args.node, args.backend.as_deref())?.post(&path, &content_type, body).await?;
        super::say(serde_json::to_string_pretty(&answer)?);
        Ok(ExitCode::SUCCESS)
    }))
}

/// Runs `tilts status`.
pub fn status(args: Status) -> ExitCode {
    done(asynchronously(async move {
        if args.recompute {
            return recompute(&args).await;
        }
        let desk = Desk::looking(&args.node)?;
        match &args.id {
            Some(id) => {
                let detail = desk.get(&format!("/api/submissions/{id}")).await?;
                show(&[detail["submission"].clone()], args.json.then_some(&detail))?;
            }
            None => {
                let all = desk.get("/api/submissions?limit=20").await?;
                show(all.as_array().map(Vec::as_slice).unwrap_or_default(), args.json.then_some(&all))?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }))
}

/// By the running node, else from its store, read only.
async fn recompute(args: &Status) -> Result<ExitCode> {
    let desk = Desk::admin(&args.node);
    let asked = match desk {
        Ok(desk) => desk.post("/api/recompute", "application/json", Vec::new()).await,
        Err(error) => Err(error),
    };
    let found = match asked {
        Ok(found) => found,
        Err(error) if was_answered(&error) => return Err(error),
        Err(_) => serde_json::to_value(app::recompute(&args.node.config).await?)?,
    };
    super::say(serde_json::to_string_pretty(&found)?);
    let good = found["differences"].as_array().is_some_and(Vec::is_empty);
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Whether the node runs and has refused.
fn was_answered(error: &anyhow::Error) -> bool {
    error.downcast_ref::<Refused>().is_some()
}

fn show(submissions: &[Value], json: Option<&Value>) -> Result<()> {
    if let Some(value) = json {
        super::say(serde_json::to_string_pretty(value)?);
        return Ok(());
    }
    for submission in submissions {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        super::say(format_args!(
            "{}  {}  {}",
            text(&submission["id"]),
            text(&submission["created"]),
            text(&submission["client_id"])
        ));
        for recipient in submission["recipients"].as_array().into_iter().flatten() {
            let record = &recipient["record"];
            super::say(format_args!(
                "  {}  {}  {} / {}  ({})",
                text(&recipient["id"]),
                text(&recipient["address"]),
                app::latvian_send(&text(&record["send"])),
                app::latvian_delivery(&text(&record["delivery"])),
                text(&record["state"])
            ));
        }
    }
    Ok(())
}

/// Runs `tilts retry`.
pub fn retry(args: Retry) -> ExitCode {
    done(asynchronously(async move {
        let body = json!({ "who": args.who, "why": args.why }).to_string();
        let desk = Desk::admin(&args.node)?;
        let answer = desk.post(&args.path(), "application/json", body.into_bytes()).await?;
        super::say(serde_json::to_string_pretty(&answer)?);
        Ok(ExitCode::SUCCESS)
    }))
}

/// Runs `tilts ping`: a message to the test service of a participant's access point, and its receipt.
pub fn ping(args: Ping) -> ExitCode {
    done(asynchronously(async move {
        let desk = Desk::backend(&args.node, args.backend.as_deref())?;
        let description = json!({
            "client_id": format!("ping-{}", uuid::Uuid::new_v4()),
            "original_sender": args.participant,
            "recipients": [{ "participant": args.participant }],
            "domain": args.domain,
            "test": true,
        });
        let path = format!("/v1/submissions{}", query(args.backend.as_deref()));
        let answer = desk.post(&path, "application/json", description.to_string().into_bytes()).await?;
        let id = answer["id"].as_str().context("the node gave no id")?;
        for _ in 0..args.wait.max(1) * 5 {
            tokio::time::sleep(Duration::from_millis(200)).await;
            let status = desk.get(&format!("/v1/submissions/{id}")).await?;
            let recipient = &status["recipients"][0];
            match recipient["send"]["code"].as_str() {
                Some("sent") => {
                    super::say(format_args!(
                        "receipted: {}",
                        recipient["messages"][0]["message_id"].as_str().unwrap_or_default()
                    ));
                    return Ok(ExitCode::SUCCESS);
                }
                Some("failed") => {
                    bail!("no receipt: {}", why(recipient).unwrap_or("no reason is known"));
                }
                _ => {}
            }
        }
        bail!("no receipt within {} s; see tilts status {id}", args.wait)
    }))
}

/// What its message, or where there was none the last word about a recipient, says of a failure.
fn why(recipient: &Value) -> Option<&str> {
    let said = recipient["evidence"].as_array().into_iter().flatten().rev();
    let mut said = said.filter_map(|evidence| evidence["row"]["detail"].as_str());
    recipient["messages"][0]["detail"].as_str().or_else(|| said.next())
}

/// Runs `tilts evidence`.
pub fn evidence(args: Evidence) -> ExitCode {
    match args.command {
        EvidenceCommand::Export { node, recipient, out } => done(asynchronously(async move {
            let path = format!("/api/recipients/{recipient}/evidence.zip");
            let octets = Desk::looking(&node)?.fetch(Method::GET, &path, "", Vec::new()).await?;
            std::fs::write(&out, &octets).with_context(|| format!("cannot write {}", out.display()))?;
            super::say(format_args!("{}: {} octets", out.display(), octets.len()));
            Ok(ExitCode::SUCCESS)
        })),
        EvidenceCommand::Verify { zip, json } => match verify(&zip, json) {
            Ok(code) => code,
            Err(error) => super::wrong_call(format!("{error:#}")),
        },
    }
}

fn verify(zip: &Path, as_json: bool) -> Result<ExitCode> {
    let octets = std::fs::read(zip).with_context(|| format!("cannot read {}", zip.display()))?;
    let report = dossier::verify(&octets)?;
    if as_json {
        super::say(serde_json::to_string_pretty(&report)?);
    } else {
        for check in &report.checks {
            let word = match check.ok {
                Some(true) => "good",
                Some(false) => "BAD",
                None => "not checked",
            };
            super::say(format_args!("{word:<12}{}: {}", check.name, check.detail));
        }
        super::say(format_args!("{} / {}", report.record.send.latvian(), report.record.delivery.latvian()));
    }
    Ok(if report.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What a node that runs says no with.
#[derive(Debug, thiserror::Error)]
#[error("HTTP {status}: {said}")]
struct Refused {
    status: u16,
    said: String,
}

/// A listener of the node.
struct Desk {
    client: Client,
    base: String,
    token: Option<String>,
}

impl Desk {
    /// In the name of a backend, where one is named.
    fn backend(node: &Node, backend: Option<&str>) -> Result<Self> {
        let speaks = |token: &Token| {
            token.role != Role::Viewer
                && (backend.is_none() || token.backend.is_none() || token.backend.as_deref() == backend)
        };
        Self::open(
            node,
            "listen.backend",
            |file| file.listen.backend.clone(),
            |tokens, base| token(tokens.iter().find(|token| speaks(token)).or(tokens.first()), base),
        )
    }

    /// As an operator, for whom some token must be there where anything is changed.
    fn admin(node: &Node) -> Result<Self> {
        Self::open(
            node,
            "listen.admin",
            |file| file.listen.admin.clone(),
            |tokens, base| {
                let operator = tokens.iter().find(|token| token.role == Role::Operator);
                token(operator.or(tokens.first()), base)
            },
        )
    }

    /// Only to look: with whichever token whoever asks may read.
    fn looking(node: &Node) -> Result<Self> {
        Self::open(
            node,
            "listen.admin",
            |file| file.listen.admin.clone(),
            |tokens, base| {
                let readable = tokens.iter().find_map(|given| token(Some(given), base).ok().flatten());
                readable.map_or_else(|| token(tokens.first(), base), |token| Ok(Some(token)))
            },
        )
    }

    /// With the token that `choose` reads in the folder of the configuration: the node says what it may not.
    fn open(
        node: &Node,
        at: &str,
        which: impl Fn(&File) -> Option<Listener>,
        choose: impl Fn(&[Token], &Path) -> Result<Option<String>>,
    ) -> Result<Self> {
        let path = &node.config;
        let text =
            std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let file: File = toml::from_str(&text).with_context(|| path.display().to_string())?;
        let listener = which(&file).with_context(|| format!("{} has no [{at}]", path.display()))?;
        let base = path.parent().unwrap_or(Path::new("."));
        let token = choose(&listener.tokens, base)?;
        let everywhere = ["0.0.0.0/0", "::/0"].into_iter().filter_map(|net| net.parse().ok()).collect();
        let egress = Egress { allow: everywhere, ports: Vec::new(), plain_http: listener.tls.is_none() };
        let tls = listener.tls.as_ref().map(|tls| own(&base.join(&tls.certificate))).transpose()?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let (tls, timeouts) = (tls.unwrap_or_default(), ClientTimeouts::default());
        let config = ClientConfig { tls, egress, timeouts, ..ClientConfig::default() };
        let base = format!("{scheme}://{}", reachable(listener.address));
        Ok(Self { client: Client::new(config)?, base, token })
    }

    async fn get(&self, path: &str) -> Result<Value> {
        Ok(serde_json::from_slice(&self.fetch(Method::GET, path, "", Vec::new()).await?)?)
    }

    async fn post(&self, path: &str, content_type: &str, body: Vec<u8>) -> Result<Value> {
        Ok(serde_json::from_slice(&self.fetch(Method::POST, path, content_type, body).await?)?)
    }

    async fn fetch(&self, method: Method, path: &str, content_type: &str, body: Vec<u8>) -> Result<Bytes> {
        let mut headers = HeaderMap::new();
        if !content_type.is_empty() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_str(content_type)?);
        }
        if let Some(token) = &self.token {
            headers.insert(AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {token}"))?);
        }
        let url = format!("{}{path}", self.base);
        let content_length = body.len() as u64;
        let request =
            Request { method, url, headers, body: full(body), content_length, max_response: ANSWER };
        let response = self.client.send(request).await.context("is the node running?")?;
        if !response.status.is_success() {
            let said = String::from_utf8_lossy(&response.body).trim().to_owned();
            return Err(Refused { status: response.status.as_u16(), said }.into());
        }
        Ok(response.body)
    }
}

/// The first line of a token's file, as the node reads it.
fn token(token: Option<&Token>, base: &Path) -> Result<Option<String>> {
    let Some(token) = token else { return Ok(None) };
    let mut problems = Problems::default();
    let line = problems.secret("listen.tokens.file", &base.join(&token.file)).ok_or(problems)?;
    Ok(Some(line.trim().to_owned()))
}

/// What the node shows is in its configuration, and its name is not where it listens.
fn own(certificate: &Path) -> Result<ClientTls> {
    let mut problems = Problems::default();
    let found = anchors(&mut problems, "listen.tls.certificate", certificate).ok_or(problems)?;
    let leaf = shown(found.anchors()).into_iter().cloned().collect();
    Ok(ClientTls { anchors: Some(TrustStore::new(leaf)), identity: None, check: ServerCheck::PathOnly })
}

/// The one of them that is the node's: the issuers may stand before it, and whoever else has a certificate of theirs is not the node.
fn shown(certificates: &[Certificate]) -> Option<&Certificate> {
    let issues = |one: &Certificate| certificates.iter().any(|other| other != one && other.is_issued_by(one));
    certificates.iter().find(|one| !issues(one))
}

/// Whoever listens on all addresses is reached over the loopback one.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

fn query(backend: Option<&str>) -> String {
    backend.map(|id| format!("?backend={id}")).unwrap_or_default()
}

fn multipart(description: &Path, payloads: &[PathBuf]) -> Result<(String, Vec<u8>)> {
    let boundary = crate::id::xml_id("tilts");
    let mut body = Vec::new();
    let mut part = |kind: &str, id: &str, octets: &[u8]| {
        let head = format!(
            "--{boundary}\r\nContent-Type: {kind}\r\nContent-ID: <{id}>\r\nContent-Disposition: attachment; filename=\"{id}\"\r\n\r\n"
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(octets);
        body.extend_from_slice(b"\r\n");
    };
    let read = |path: &Path| std::fs::read(path).with_context(|| format!("cannot read {}", path.display()));
    part("application/json", "description", &read(description)?);
    for path in payloads {
        let name =
            path.file_name().map(|n| n.to_string_lossy().replace(['"', '\r', '\n'], "_")).unwrap_or_default();
        part("application/octet-stream", &name, &read(path)?);
    }
    body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    Ok((format!("multipart/related; boundary=\"{boundary}\"; type=\"application/json\""), body))
}

fn asynchronously(work: impl Future<Output = Result<ExitCode>>) -> Result<ExitCode> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

fn done(outcome: Result<ExitCode>) -> ExitCode {
    outcome.unwrap_or_else(|error| {
        super::complain(format_args!("tilts: {error:#}"));
        ExitCode::FAILURE
    })
}

#[cfg(test)]
mod tests {
    use clap::{Args as _, FromArgMatches as _};

    use super::*;
    use crate::pki::testing;

    fn retry(what: &[&str]) -> Option<String> {
        let always = ["retry", "--config", "tilts.toml", "--who", "w", "--why", "y"];
        let command = Retry::augment_args(clap::Command::new("retry"));
        let matches = command.try_get_matches_from(always.iter().chain(what)).ok()?;
        Some(Retry::from_arg_matches(&matches).unwrap().path())
    }

    #[test]
    fn whoever_listens_everywhere_is_asked_here() {
        let asked = |text: &str| reachable(text.parse().unwrap()).to_string();
        assert_eq!(asked("0.0.0.0:8443"), "127.0.0.1:8443");
        assert_eq!(asked("[::]:8443"), "[::1]:8443");
        assert_eq!(asked("192.0.2.7:8443"), "192.0.2.7:8443");
    }

    #[test]
    fn a_failure_without_a_message_has_a_reason_too() {
        let rows = json!([{ "row": { "detail": null } }, { "row": { "detail": "nobody is responsible" } }]);
        assert_eq!(why(&json!({ "messages": [], "evidence": rows })), Some("nobody is responsible"));
        let message = json!([{ "detail": "EBMS:0004" }]);
        assert_eq!(why(&json!({ "messages": message, "evidence": rows })), Some("EBMS:0004"));
        assert_eq!(why(&json!({})), None);
    }

    #[test]
    fn the_certificate_of_the_node_is_known_among_its_issuers() {
        let above = testing::ca("CN=above");
        let (leaf, _) = testing::issued("CN=node", &above, testing::YEAR_2026);
        for file in [[above.0.clone(), leaf.clone()], [leaf.clone(), above.0.clone()]] {
            assert_eq!(shown(&file), Some(&leaf));
        }
        assert_eq!(shown(std::slice::from_ref(&above.0)), Some(&above.0));
    }

    #[test]
    fn a_recipient_or_an_evidence_message_is_sent_again() {
        assert_eq!(retry(&["1"]).as_deref(), Some("/api/recipients/1/retry"));
        assert_eq!(retry(&["--message", "2"]).as_deref(), Some("/api/messages/2/retry"));
        assert_eq!(retry(&[]), None);
        assert_eq!(retry(&["1", "--message", "2"]), None);
    }
}
