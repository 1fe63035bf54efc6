//! A configuration that cannot work is refused before anything starts, with words that name what is wrong.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use conformance::ca::{Purpose, Validity};
use conformance::node::{free, tilts_binary};
use conformance::world::{World, party_id};

struct Site {
    world: World,
    config: PathBuf,
    good: String,
    _folder: tempfile::TempDir,
}

impl Site {
    fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let world = World::new(&folder.path().join("world"), &tilts_binary()?)?;
        world.access_point("node", 2048, free()?, "\n[[backend]]\nid = \"all\"\nadapter = \"rest\"\n")?;
        let config = world.root.join("node/tilts.toml");
        let good = fs::read_to_string(&config)?;
        Ok(Self { world, config, good, _folder: folder })
    }

    fn file(&self, name: &str) -> PathBuf {
        self.world.root.join("node").join(name)
    }

    /// `check-config` and `serve` must both end with another status than 0 and say each of `words`.
    fn refused(&self, case: &str, config: &str, words: &[&str]) -> Result<()> {
        fs::write(&self.config, config)?;
        for command in ["check-config", "serve"] {
            let output = run(&self.world.tilts, command, &self.config)?;
            let text = String::from_utf8_lossy(&output.stderr);
            ensure!(!output.status.success(), "{command} with {case} ended with {}", output.status);
            ensure!(output.stdout.is_empty(), "{command} with {case} printed {:?}", output.stdout);
            for word in words {
                ensure!(text.contains(word), "{command} with {case} does not say {word:?}: {text}");
            }
        }
        ensure!(!self.file("data").exists(), "{case}: a store was made");
        Ok(())
    }

    fn replaced(&self, case: &str, from: &str, to: &str, words: &[&str]) -> Result<()> {
        ensure!(self.good.contains(from), "{from:?} is not in the configuration");
        self.refused(case, &self.good.replacen(from, to, 1), words)
    }
}

/// Runs a command that must end by itself.
fn run(tilts: &Path, command: &str, config: &Path) -> Result<Output> {
    let mut child = Command::new(tilts)
        .args([command, "--config"])
        .arg(config)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let until = Instant::now() + Duration::from_secs(20);
    while child.try_wait()?.is_none() {
        if Instant::now() > until {
            child.kill()?;
            let output = child.wait_with_output()?;
            anyhow::bail!("{command} goes on: {}", String::from_utf8_lossy(&output.stderr));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    child.wait_with_output().context("its output")
}

#[test]
fn a_good_configuration_is_called_good() -> Result<()> {
    let site = Site::new()?;
    let output = run(&site.world.tilts, "check-config", &site.config)?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success() && text.contains("good") && text.contains("AP-NODE"), "{output:?}");
    Ok(())
}

#[test]
fn words_that_are_not_known_are_named() -> Result<()> {
    let site = Site::new()?;
    site.replaced("an unknown key", "[store]\n", "[store]\npaht = \"x\"\n", &["paht", "path"])?;
    site.replaced("an unknown table", "[store]\n", "[stroe]\n", &["stroe"])?;
    site.replaced(
        "an unknown profile",
        "\"edelivery-1.15\"",
        "\"edelivery-9\"",
        &["edelivery-9", "edelivery-1.15"],
    )?;
    site.replaced("an unknown override", "overrides = { ", "overrides = { encrypton = 1, ", &["encrypton"])?;
    site.replaced(
        "more parts than are read",
        "overrides = { ",
        "overrides = { max_parts = 100, ",
        &["max_parts = 100", "limits.references = 102"],
    )?;
    site.replaced("an unknown adapter", "\"rest\"", "\"resst\"", &["resst"])?;
    site.replaced("an unknown use", "\"decrypt\"", "\"decypher\"", &["decypher"])?;
    site.replaced("no address", "address = \"127.0.0.1:", "address = \"127.0.0.1.1:", &["127.0.0.1.1"])?;
    let twice = format!("{}\n[[backend]]\nid = \"all\"\nadapter = \"rest\"\n", site.good);
    site.refused("one backend twice", &twice, &["\"all\"", "twice"])?;
    site.refused("no TOML", "[node\n", &["tilts.toml"])?;
    site.refused("nothing", "", &["node"])
}

#[test]
fn what_would_have_no_effect_is_refused() -> Result<()> {
    let site = Site::new()?;
    let with = |override_: &str| format!("overrides = {{ {override_}, ");
    let rule = with("sender_rule = \"registered\"");
    site.replaced("a rule for partners", "overrides = { ", &rule, &["registered", "subject-cn"])?;
    let shown = with("tls_client_certificate = true");
    site.replaced("a client certificate", "overrides = { ", &shown, &["tls_client_certificate", "proxy"])?;
    let more = |text: &str| format!("{}\n{text}\n", site.good);
    site.refused("a level that is none", &more("[log]\nlevel = \"inof\""), &["log.level", "\"inof\""])?;
    site.replaced("a form that is none", "[[domain]]\n", "[[domain]]\nform = \"plian\"\n", &["plian"])?;
    site.replaced(
        "no such evidence anchors",
        "[[domain]]\n",
        "[[domain]]\nevidence_trust = \"absent.pem\"\n",
        &["absent.pem", "evidence_trust"],
    )?;
    let nowhere = more("[[backend]]\nid = \"other\"\nadapter = \"rest\"\ndomain = \"nowhere\"");
    site.refused("a backend of no domain", &nowhere, &["nowhere", "backend \"other\".domain"])?;
    let partner = "[[partner]]\nparty_id = \"urn:p\"\ncertificate = \"tls.pem\"\nparticipants = [\"a::b\"]\n";
    site.refused("a partner without an agreement", &more(partner), &["urn:p", "[[agreement]]"])?;
    let agreed = "[[agreement]]\npartner = \"urn:p\"\nprofile = \"edelivery-1.15\"\nid = \"one\"\n";
    let twice = more(&format!("{partner}{agreed}service_type = \"kind\"\n{agreed}"));
    site.refused("a type of nothing", &twice, &["\"kind\"", "add service", "\"one\" is given twice"])
}

#[test]
fn what_no_node_can_work_with_is_refused() -> Result<()> {
    let site = Site::new()?;
    let store = |line: &str| format!("[store]\n{line}\n");
    site.replaced(
        "kept backwards",
        "[store]\n",
        &store("keep_payloads = \"-5 hours\""),
        &["store.keep_payloads", "negative"],
    )?;
    let rest = "adapter = \"rest\"\n";
    let at_once = format!("{rest}take_within = \"0s\"\n");
    site.replaced("no time to take", rest, &at_once, &["backend \"all\".take_within", "more than nothing"])?;
    let more = |text: &str| format!("{}\n{text}\n", site.good);
    site.refused(
        "no connection",
        &more("[limits]\nconnections = 0\nheaders = 0"),
        &["limits.connections", "limits.headers"],
    )?;
    let schedule = "first_seconds = 1, factor = 2, longest_seconds = 4, within_seconds = 3600";
    let at = "domain \"demo\".overrides.retry";
    site.replaced("no pause", schedule, &schedule.replace("= 1,", "= 0,"), &[at, "first_seconds = 0"])?;
    site.replaced(
        "no domain",
        "\"node.tilts.example\"",
        "\"node example\"",
        &["node.domain", "\"node example\""],
    )?;
    let path = "[listen.as4]\npath = \"as4\"\n";
    site.replaced("no path", "[listen.as4]\n", path, &["listen.as4.path", "\"as4\""])?;
    for (tokens, words) in [
        ("{ file = \"password\" }", "operator"),
        ("{ file = \"password\", role = \"viewer\", backend = \"all\" }", "see all"),
        ("{ file = \"password\", role = \"viewer\" }, { file = \"password\", role = \"operator\" }", "twice"),
    ] {
        let admin = format!("[listen.admin]\ntokens = [{tokens}]\n");
        site.replaced("a token of no use", "[listen.admin]\n", &admin, &["listen.admin.tokens", words])?;
    }
    for (rest, words) in [
        ("url = \"not a url\"", "not a URL"),
        ("url = \"ftp://127.0.0.1:1/as4\"", "not http:// or https://"),
        ("url = \"http://ap.example/as4\"", "allow_http = true"),
        ("url = \"https://ap.example:8443/as4\"", "port 8443"),
        ("url = \"https://[::1]/as4\"", "egress_allow"),
    ] {
        let partner = format!("[[partner]]\nparty_id = \"urn:p\"\ncertificate = \"tls.pem\"\n{rest}");
        site.refused(rest, &more(&partner), &["partner \"urn:p\".url", words])?;
    }
    Ok(())
}

#[test]
fn files_that_cannot_be_used_are_named() -> Result<()> {
    let site = Site::new()?;
    site.replaced("a missing key file", "\"key.p12\"", "\"absent.p12\"", &["absent.p12", "key[1]"])?;
    site.replaced(
        "a missing password file",
        "\"password\"",
        "\"absent.txt\"",
        &["absent.txt", "password_file"],
    )?;
    site.replaced("missing anchors", "ca/ap.pem", "ca/absent.pem", &["absent.pem", "ap_trust"])?;
    site.replaced("anchors that are none", "\"../ca/ap.pem\"", "\"password\"", &["password", "ap_trust"])?;
    site.replaced("a missing TLS key", "\"tls.key\"", "\"absent.key\"", &["absent.key", "listen.as4"])?;
    site.replaced(
        "a missing TLS certificate",
        "\"tls.pem\"",
        "\"absent.pem\"",
        &["absent.pem", "listen.as4"],
    )?;
    let other = site.world.tls_ca.issue("other", 2048, Purpose::Tls)?;
    other.write_pair(&site.file("other.pem"), &site.file("other.key"))?;
    site.replaced("a TLS key of another certificate", "\"tls.key\"", "\"other.key\"", &["tls.pem"])?;
    fs::write(site.file("password"), "wrong\n")?;
    site.refused("a wrong password", &site.good, &["key.p12", "password"])?;
    let output = run(&site.world.tilts, "check-config", &site.config)?;
    ensure!(!String::from_utf8_lossy(&output.stderr).contains("wrong\n"), "the password is shown");
    Ok(())
}

#[test]
fn an_own_certificate_out_of_time_is_named() -> Result<()> {
    let site = Site::new()?;
    for (valid, word) in
        [(Validity { from: -30, to: -1 }, "expired"), (Validity { from: 2, to: 9 }, "valid only from")]
    {
        let identity = site.world.ap_ca.issue_for(&party_id("node"), 2048, Purpose::Message, valid)?;
        site.world.ap_ca.write_p12(&identity, &site.file("key.p12"), "changeit")?;
        site.refused("a certificate out of time", &site.good, &[word, "CN=AP-NODE", "key[1]"])?;
    }
    Ok(())
}
