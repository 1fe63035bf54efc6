//! Runs the cases: those that are independent at the same time, those that disturb the endpoint alone and last.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use futures_util::StreamExt;
use tokio::sync::Mutex;

use super::backend::Desk;
use super::cases::{self, Case};
use super::catalogue::{Assertion, assertions, skipped};
use super::context::{Context, Ctx, Set};
use super::endpoint::{Endpoint, KeySet};
use super::ours;
use super::phase4;
use super::receiver::Receiver;
use super::registry;
use super::report::{Column, Report};
use super::verdict::Verdict;
use crate::node::Node;

/// Cases at the same time.
const TOGETHER: usize = 8;
/// Longest time of one case.
const LONGEST: Duration = Duration::from_secs(60);

/// What to run, and against whom.
#[derive(Debug, Clone)]
pub struct Options {
    /// The tilts binary: an endpoint of its own world is made with it, and its `inspect` judges captures.
    pub tilts: PathBuf,
    /// Whether tilts itself is under test.
    pub ours: bool,
    /// The jar of `conformance/peers/phase4`: another column.
    pub phase4: Option<PathBuf>,
    /// Files of other endpoints.
    pub endpoints: Vec<PathBuf>,
    /// Only these groups (`A`) or numbers (`AS4_CP_TA01`, or their beginning); all when empty.
    pub only: Vec<String>,
    /// Where keys, logs and reports go. Emptied first.
    pub out: PathBuf,
}

/// Runs everything and writes the reports.
///
/// # Errors
/// When an endpoint cannot be reached at all, a file is wrong, or nothing is left to run.
pub async fn run(options: &Options) -> Result<Report> {
    std::fs::create_dir_all(&options.out)?;
    let wanted = wanted(&options.only)?;
    let mut columns = Vec::new();
    if options.ours {
        let ours = ours::start(&options.out.join("world"), &options.tilts).await?;
        columns.push(column(options, &ours.file, Some(ours.node), &wanted).await?);
    }
    if let Some(jar) = &options.phase4 {
        let file = phase4::prepare(&options.out.join("phase4"), jar)?;
        let compared = column(options, &file, None, &wanted).await?;
        columns.push(Column { counts: false, ..compared });
    }
    for file in &options.endpoints {
        columns.push(column(options, file, None, &wanted).await?);
    }
    ensure!(!columns.is_empty(), "no endpoint: name one by --endpoint, or give --tilts alone");
    let report = Report { assertions: wanted, columns };
    report.write(&options.out)?;
    Ok(report)
}

fn wanted(only: &[String]) -> Result<Vec<Assertion>> {
    let meant = |a: &Assertion| {
        only.is_empty()
            || only.iter().any(|o| a.group == *o || a.id == *o || (o.len() > 1 && a.id.starts_with(o)))
    };
    let wanted: Vec<_> = assertions()?.into_iter().filter(meant).collect();
    ensure!(!wanted.is_empty(), "no assertion is called {}", only.join(", "));
    Ok(wanted)
}

async fn column(options: &Options, file: &Path, node: Option<Node>, wanted: &[Assertion]) -> Result<Column> {
    let mut context = context(options, file, node).await.with_context(|| file.display().to_string())?;
    if let Some(peppol) = &context.endpoint.peppol {
        let file = context.endpoint.path_of(peppol);
        let other = self::context(options, &file, None).await.with_context(|| file.display().to_string())?;
        context.peppol = Some(Arc::new(other));
    }
    let context = Arc::new(context);
    let mut verdicts: BTreeMap<String, (Verdict, Duration)> = BTreeMap::new();
    for (id, why) in skipped()? {
        verdicts.insert(id, (Verdict::Skipped(why), Duration::ZERO));
    }
    let is_wanted = |case: &Case| wanted.iter().any(|a| a.id == case.id);
    let (alone, together): (Vec<_>, Vec<_>) =
        cases::all().into_iter().filter(is_wanted).partition(|c| c.alone);
    let running = together.into_iter().map(|case| one(case, context.clone()));
    verdicts.extend(futures_util::stream::iter(running).buffer_unordered(TOGETHER).collect::<Vec<_>>().await);
    for case in alone {
        verdicts.extend([one(case, context.clone()).await]);
    }
    verdicts.retain(|id, _| wanted.iter().any(|a| a.id == *id));
    Ok(Column { name: context.endpoint.name.clone(), counts: true, verdicts })
}

async fn one(case: Case, context: Ctx) -> (String, (Verdict, Duration)) {
    let begun = Instant::now();
    let outcome = tokio::time::timeout(LONGEST, (case.run)(context)).await;
    let outcome = outcome.unwrap_or_else(|_| Err(anyhow::anyhow!("not finished after {LONGEST:?}")));
    (case.id.to_owned(), (Verdict::of(outcome), begun.elapsed()))
}

async fn context(options: &Options, file: &Path, node: Option<Node>) -> Result<Context> {
    let mut endpoint = Endpoint::read(file)?;
    let certificate = endpoint.read_certificate(&endpoint.certificate)?;
    let suite = Arc::new(endpoint.keys(&endpoint.suite.keys())?);
    let mut identities = BTreeMap::new();
    for (name, keys) in &endpoint.identity {
        identities.insert(name.clone(), endpoint.keys(keys)?);
    }
    let own = Set {
        signer: certificate.clone(),
        certificate: certificate.clone(),
        sign: suite.clone(),
        decrypt: suite.clone(),
    };
    let mut keys = BTreeMap::from([(String::new(), own)]);
    for (name, set) in &endpoint.keys {
        keys.insert(name.clone(), read_set(&endpoint, set)?);
    }
    let desk = Desk::open(&mut endpoint, &options.out).await?;
    let tls = endpoint.suite.tls.as_ref().map(|keys| endpoint.keys(keys)).transpose()?;
    let receiver = match endpoint.suite.listen {
        Some(address) => Some(Receiver::bind(address, tls.as_ref()).await?),
        None => None,
    };
    let plain = match &endpoint.suite.plain {
        Some(plain) => Some(Receiver::bind(plain.listen, None).await?),
        None => None,
    };
    let folder = options.out.join("captures").join(&endpoint.name);
    std::fs::create_dir_all(&folder)?;
    let registry = match endpoint.suite.listen {
        Some(address) => {
            let scheme = if endpoint.suite.tls.is_some() { "https" } else { "http" };
            registry::start(&endpoint, &format!("{scheme}://{address}/as4"), &options.tilts, &folder).await?
        }
        None => None,
    };
    let (tilts, node) = (options.tilts.clone(), node.map(Mutex::new));
    Ok(Context {
        endpoint,
        certificate,
        suite,
        keys,
        identities,
        desk,
        receiver,
        plain,
        registry,
        peppol: None,
        node,
        tilts,
        folder,
    })
}

fn read_set(endpoint: &Endpoint, set: &KeySet) -> Result<Set> {
    Ok(Set {
        signer: endpoint.read_certificate(&set.signer)?,
        certificate: endpoint.read_certificate(&set.certificate)?,
        sign: Arc::new(endpoint.keys(&set.sign)?),
        decrypt: Arc::new(endpoint.keys(&set.decrypt)?),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use crate::ca::{Authority, Purpose};
    use crate::node::free;
    use crate::suite::receiver::receipt;

    const FILE: &str = "certificate = \"sut.pem\"\nparty_id = \"SUT\"\nparty_type = \"urn:type\"\nplain = true\n\
        [suite]\nparty_id = \"SUITE\"\ncertificate = \"suite.pem\"\nkey = \"suite.key\"\n\
        [pmode.signonly]\nservice = \"S\"\nservice_type = \"t\"\naction = \"A\"\nencrypt = false\n\
        [pmode.oneway]\nservice = \"S\"\nservice_type = \"t\"\naction = \"B\"\n";

    /// The worst endpoint: a right receipt for everything that it is sent.
    async fn yes_sayer(folder: &Path, signs: bool) -> BTreeMap<String, (Verdict, Duration)> {
        let ca = Authority::new("suite").unwrap();
        let [sut, suite] = ["SUT", "SUITE"].map(|name| ca.issue(name, 2048, Purpose::Message).unwrap());
        for (name, identity) in [("sut", &sut), ("suite", &suite)] {
            let path = |kind: &str| folder.join(format!("{name}.{kind}"));
            identity.write_pair(&path("pem"), &path("key")).unwrap();
        }
        let address = free().unwrap();
        let endpoint = Receiver::bind(address, None).await.unwrap();
        endpoint.expect("", receipt(&Arc::new(if signs { sut } else { suite })));
        let file = folder.join("endpoint.toml");
        std::fs::write(&file, format!("name = \"yes\"\naddress = \"{address}\"\n{FILE}")).unwrap();
        let options = Options {
            tilts: PathBuf::new(),
            ours: false,
            phase4: None,
            endpoints: vec![file],
            only: ["AS4_CP_TA21", "AS4_CP_TA23", "AS4_CP_TA29", "SEC-01", "SEC-02", "SEC-17", "OAS-11"]
                .map(str::to_owned)
                .into(),
            out: folder.join("out"),
        };
        run(&options).await.unwrap().columns.swap_remove(0).verdicts
    }

    #[tokio::test]
    async fn an_endpoint_that_takes_everything_fails_what_must_be_refused() {
        let folder = tempfile::tempdir().unwrap();
        let verdicts = yes_sayer(folder.path(), true).await;
        assert_eq!(verdicts["AS4_CP_TA21"].0, Verdict::Passed, "{verdicts:?}");
        assert!(matches!(verdicts["AS4_CP_TA23"].0, Verdict::Skipped(_)), "it cannot be made to send");
        for id in ["AS4_CP_TA29", "SEC-01", "SEC-02", "SEC-17", "OAS-11"] {
            assert!(matches!(verdicts[id].0, Verdict::Failed(_)), "{id}: {:?}", verdicts[id]);
        }
    }

    #[tokio::test]
    async fn a_receipt_under_another_key_is_no_receipt() {
        let folder = tempfile::tempdir().unwrap();
        let verdicts = yes_sayer(folder.path(), false).await;
        assert!(
            matches!(&verdicts["AS4_CP_TA21"].0, Verdict::Failed(why) if why.contains("signature")),
            "{verdicts:?}"
        );
    }
}
