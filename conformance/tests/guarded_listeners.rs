//! Listeners with tokens and TLS: the commands of `tilts` find their way by the configuration, and a browser by a password.

use std::path::{Path, PathBuf};
use std::process::Output;

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use conformance::ca::Purpose;
use conformance::http;
use conformance::node::{free, tilts_binary};
use conformance::world::{AccessPoint, World};
use hyper::Method;
use tokio::process::Command;

const BACKENDS: &str = r#"
[[backend]]
id = "other"
adapter = "rest"

[[backend]]
id = "office"
adapter = "rest"
"#;

struct Guarded {
    point: AccessPoint,
    config: PathBuf,
    world: World,
    folder: tempfile::TempDir,
}

impl Guarded {
    /// A node whose backend listener is on all addresses, with TLS by a certificate of a name of its own, and whose first tokens are not
    /// those that the commands need.
    async fn set() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let world = World::new(&folder.path().join("world"), &tilts_binary()?)?;
        let mut point = world.access_point("node", 2048, free()?, BACKENDS)?;
        let home = world.root.join("node");
        let config = home.join("tilts.toml");
        for name in ["other", "office", "viewer", "operator"] {
            std::fs::write(home.join(name), format!("{name}-token-of-this-test\nand a note\n"))?;
        }
        let tls = world.tls_ca.issue("messages.example", 2048, Purpose::Tls)?;
        tls.write_pair(&home.join("backend.pem"), &home.join("backend.key"))?;
        let good = std::fs::read_to_string(&config)?;
        let [backend, admin] = ["backend", "admin"].map(|name| format!("[listen.{name}]\n"));
        let tokens = |all: &[(&str, &str)]| {
            let all = all.iter().map(|(file, rest)| format!("{{ file = \"{file}\", {rest} }}"));
            format!("tokens = [{}]\n", all.collect::<Vec<_>>().join(", "))
        };
        let of_backends = tokens(&[("other", "backend = \"other\""), ("office", "backend = \"office\"")]);
        let of_people = tokens(&[("viewer", "role = \"viewer\""), ("operator", "role = \"operator\"")]);
        let tls = "tls = { certificate = \"backend.pem\", key = \"backend.key\" }\n";
        let port = point.node.ports.backend.port();
        let guarded = good
            .replace(&backend, &format!("{backend}{of_backends}{tls}"))
            .replace(&format!("127.0.0.1:{port}"), &format!("0.0.0.0:{port}"))
            .replace(&admin, &format!("{admin}{of_people}"));
        ensure!(guarded.contains(&of_people) && guarded.contains(&of_backends), "{guarded}");
        std::fs::write(&config, guarded)?;
        point.node.start().await?;
        Ok(Self { point, config, world, folder })
    }

    async fn tilts(&self, words: &[&str], path: Option<&Path>) -> Result<Output> {
        let mut command = Command::new(&self.world.tilts);
        command.args(words).arg("--config").arg(&self.config).args(path);
        Ok(command.output().await?)
    }

    async fn asked(&self, method: Method, path: &str, login: &str) -> Result<u16> {
        let to = self.point.node.ports.admin;
        Ok(http::authorized(to, method, path, login, String::new()).await?.status.as_u16())
    }
}

#[tokio::test]
async fn the_commands_take_the_token_that_fits_and_know_the_certificate() -> Result<()> {
    let guarded = Guarded::set().await?;
    let description = guarded.folder.path().join("description.json");
    let text = r#"{ "client_id": "1", "original_sender": "iso6523-actorid-upis::0218:1",
        "recipients": [{ "participant": "iso6523-actorid-upis::0191:1" }], "test": true }"#;
    std::fs::write(&description, text)?;
    let submitted = guarded.tilts(&["submit", "--backend", "office"], Some(&description)).await?;
    let said = String::from_utf8(submitted.stdout)?;
    ensure!(submitted.status.success() && said.contains("id"), "{said} {:?}", submitted.stderr);
    let refused = guarded.tilts(&["submit", "--backend", "nobody"], Some(&description)).await?;
    let said = String::from_utf8(refused.stderr)?;
    ensure!(!refused.status.success() && said.contains("HTTP 403"), "{said}");
    let status = guarded.tilts(&["status"], None).await?;
    ensure!(status.status.success() && String::from_utf8(status.stdout)?.contains("Apstrādē"), "no status");
    let folded = guarded.tilts(&["status", "--recompute"], None).await?;
    let folded: serde_json::Value = serde_json::from_slice(&folded.stdout).context("not an operator")?;
    ensure!(folded["differences"].as_array().is_some_and(Vec::is_empty), "{folded}");
    // Whoever may read no operator's token may still look.
    std::fs::remove_file(guarded.config.with_file_name("operator"))?;
    let status = guarded.tilts(&["status"], None).await?;
    ensure!(status.status.success(), "{}", String::from_utf8_lossy(&status.stderr));
    Ok(())
}

#[tokio::test]
async fn a_browser_looks_at_the_console_with_the_token_as_a_password() -> Result<()> {
    let guarded = Guarded::set().await?;
    let basic =
        |token: &str| format!("Basic {}", BASE64_STANDARD.encode(format!("me:{token}-token-of-this-test")));
    ensure!(guarded.asked(Method::GET, "/", &basic("viewer")).await? == 200, "the console is shut");
    ensure!(guarded.asked(Method::GET, "/", &basic("wrong")).await? == 401, "open to anybody");
    ensure!(guarded.asked(Method::GET, "/", "").await? == 401, "open to anybody");
    // A page of somebody else's could have a browser send it.
    ensure!(guarded.asked(Method::POST, "/api/recompute", &basic("operator")).await? == 401, "a password");
    let bearer = "Bearer operator-token-of-this-test";
    ensure!(guarded.asked(Method::POST, "/api/recompute", bearer).await? == 200, "no operator");
    Ok(())
}
