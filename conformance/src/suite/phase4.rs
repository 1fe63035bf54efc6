//! phase4 as a second column: keys and the endpoint file for the program in `conformance/peers/phase4`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::ca::{Authority, Purpose, Validity};
use crate::peers::java::Java;

const PASSWORD: &str = "changeit";

/// Makes everything below `folder`; gives the endpoint file. The process is started by the suite as any other's.
pub fn prepare(folder: &Path, jar: &Path) -> Result<PathBuf> {
    std::fs::create_dir_all(folder)?;
    let jar = jar.canonicalize().with_context(|| format!("no jar at {}", jar.display()))?;
    let java = Java::newest()?;
    let (ours, tls) = (Authority::new("suite of phase4")?, Authority::new("suite TLS")?);
    ours.write_pem(&folder.join("ap.pem"))?;
    let endpoint = ours.issue("PHASE4", 2048, Purpose::Message)?;
    ours.write_p12(&endpoint, &folder.join("key.p12"), PASSWORD)?;
    endpoint.write_certificate(&folder.join("phase4.pem"))?;
    tls.write_p12(&tls.issue("phase4 TLS", 2048, Purpose::Tls)?, &folder.join("tls.p12"), PASSWORD)?;
    for (name, authority, valid) in [
        ("suite", &ours, Validity::default()),
        ("other", &ours, Validity::default()),
        ("stranger", &Authority::new("strangers")?, Validity::default()),
        ("expired", &ours, Validity { from: -30, to: -1 }),
    ] {
        let identity = authority.issue_for("SUITE", 2048, Purpose::Message, valid)?;
        identity.write_pair(&folder.join(format!("{name}.pem")), &folder.join(format!("{name}.key")))?;
    }
    let file = folder.join("phase4.toml");
    std::fs::write(&file, text(&java.binary, &jar))?;
    Ok(file)
}

fn text(java: &Path, jar: &Path) -> String {
    let (java, jar) = (java.display(), jar.display());
    format!(
        r#"name = "phase4"
address = "127.0.0.1:0"
party_id = "PHASE4"
party_type = "urn:oasis:names:tc:ebcore:partyid-type:unregistered"
certificate = "phase4.pem"

[suite]
party_id = "SUITE"
certificate = "suite.pem"
key = "suite.key"

[identity.stranger]
certificate = "stranger.pem"
key = "stranger.key"

[identity.expired]
certificate = "expired.pem"
key = "expired.key"

[pmode.oneway]
service = "SRV_SIMPLE_ONEWAY"
service_type = "suite"
action = "ACT_SIMPLE_ONEWAY"

[pmode.signonly]
service = "SRV_ONEWAY_SIGNONLY"
service_type = "suite"
action = "ACT_ONEWAY_SIGNONLY"
encrypt = false

[backend]
kind = "json-lines"
command = [
  "{java}", "-Xmx1g", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-jar", "{jar}", "receive",
  "--profile", "edelivery-1.15", "--password", "{PASSWORD}", "--keystore", "{{folder}}/key.p12",
  "--tls-keystore", "{{folder}}/tls.p12", "--trust", "{{folder}}/ap.pem", "--expect", "SUITE", "--party", "PHASE4",
]
"#
    )
}
