//! Where a fuzzer begins: valid examples of everything that is read from strangers, made by our own writers.

use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::process::Command;

use super::mutation::envelope_of;
use super::scan::first;
use crate::as4::{Message, Part, Request, seal};
use crate::ca::{Authority, Identity, List, Purpose};
use crate::encryption::encrypt;
use crate::probe::message;
use crate::world::{ENVELOPE, PROCESS, TRANSPORT, World, party_id, said};

/// Writes one folder of seeds for each fuzz target below `out`; what lies there already stays.
pub async fn write(out: &Path, tilts: &Path) -> Result<()> {
    let scratch = tempfile::tempdir()?;
    let world = World::new(&scratch.path().join("world"), tilts)?;
    let identity = world.ap_ca.issue(&party_id("peer"), 2048, Purpose::Message)?;
    for (number, request) in messages(&identity)?.into_iter().enumerate() {
        of_message(out, number, &request)?;
    }
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(&b"some text ".repeat(50))?;
    keep(out, "gzip", "text", &gzip.finish()?)?;
    keep(out, "keys", "certificate", &identity.certificate.to_pem()?)?;
    keep(out, "certificate", "leaf", &identity.certificate.to_der()?)?;
    keep(out, "certificate", "root", &world.ap_ca.certificate().to_der()?)?;
    keep(out, "crl", "list", &Authority::new("fuzz")?.revocation_list(&[&identity], List::default())?)?;
    keep(out, "sbdh", "envelope", SBD.as_bytes())?;
    keep(out, "sbdh", "bare", b"<?xml version=\"1.0\"?><a xmlns=\"urn:a\">text</a>")?;
    metadata(out, &world, &identity).await?;
    envelope(out, &world, &identity).await?;
    keep(out, "evidence", "minimal", REM.as_bytes())
}

fn messages(identity: &Identity) -> Result<Vec<Request>> {
    let parts = vec![Part::new("one@suite", b"<a/>"), Part::new("two@suite", b"more")];
    let full = Message { parts, ..message("AP-PEER", "AP-NODE") };
    let signed = seal(&full, identity)?.request();
    let empty = seal(&message("AP-PEER", "AP-NODE"), identity)?.request();
    Ok(vec![signed, empty, encrypt(&full, identity, identity)?.request()])
}

fn of_message(out: &Path, number: usize, request: &Request) -> Result<()> {
    let name = format!("message-{number}");
    let envelope = String::from_utf8_lossy(&request.body[envelope_of(&request.body)]).into_owned();
    let content_type = &request.headers.first().context("no Content-Type")?.1;
    keep(out, "xml", &name, envelope.as_bytes())?;
    keep(out, "wssec", &name, envelope.as_bytes())?;
    let messaging = first(&envelope, "Messaging").context("no Messaging")?;
    keep(out, "ebms", &name, envelope[messaging.whole].as_bytes())?;
    keep(out, "mime", &name, &[content_type.as_bytes(), b"\n", &request.body].concat())?;
    // Without the token nothing can be verified, so that the fuzzer spends its time on parsing.
    let bare = envelope.replace("BinarySecurityToken", "Token");
    let body = String::from_utf8_lossy(&request.body).replace(&envelope, &bare);
    keep(out, "message", &name, format!("Content-Type: {content_type}\r\n\r\n{body}").as_bytes())
}

async fn metadata(out: &Path, world: &World, identity: &Identity) -> Result<()> {
    let (store, certificate) = (world.root.join("smp.p12"), world.root.join("ap.pem"));
    world.ap_ca.write_p12(identity, &store, "changeit")?;
    identity.write_certificate(&certificate)?;
    for dialect in ["peppol", "bdxr1", "bdxr2"] {
        let mut command = Command::new(&world.tilts);
        command.args(["smp", "sign", "--dialect", dialect, "--participant", "iso6523-actorid-upis::0191:1"]);
        command.args(["--document-type", ENVELOPE, "--process", PROCESS, "--transport-profile", TRANSPORT]);
        command.args(["--url", "https://ap.example/as4"]).arg("--certificate").arg(&certificate);
        command.arg("--keystore").arg(&store).args(["--password", "changeit"]);
        let signed = said(command).await?;
        keep(out, "smp", dialect, signed.as_bytes())?;
        keep(out, "xml", dialect, signed.as_bytes())?;
    }
    Ok(())
}

async fn envelope(out: &Path, world: &World, identity: &Identity) -> Result<()> {
    let store = world.root.join("div.p12");
    world.ap_ca.write_p12(identity, &store, "changeit")?;
    let (file, sealed) = (world.root.join("text.txt"), world.root.join("envelope.xml"));
    fs::write(&file, "text")?;
    let mut command = Command::new(&world.tilts);
    command.args(["div", "seal", "--sender", "_DEFAULT@90000000001", "--title", "Seed", "--reference", "1"]);
    command.args(["--to", "0191.20000001@ee"]).arg("--keystore").arg(&store).args(["--password", "changeit"]);
    command.arg("--out").arg(&sealed).arg(&file);
    said(command).await?;
    keep(out, "div", "envelope", &fs::read(&sealed)?)?;
    keep(out, "xml", "envelope", &fs::read(sealed)?)
}

fn keep(out: &Path, target: &str, name: &str, octets: &[u8]) -> Result<()> {
    let folder = out.join(target);
    fs::create_dir_all(&folder)?;
    let path = folder.join(format!("seed-{name}"));
    fs::write(&path, octets).with_context(|| format!("cannot write {}", path.display()))
}

const SBD: &str = "<StandardBusinessDocument xmlns=\"http://www.unece.org/cefact/namespaces/StandardBusinessDocumentHeader\">\
<StandardBusinessDocumentHeader><HeaderVersion>1.0</HeaderVersion><Sender><Identifier Authority=\"iso6523-actorid-upis\">\
0191:1</Identifier></Sender><Receiver><Identifier Authority=\"iso6523-actorid-upis\">0191:2</Identifier></Receiver>\
<DocumentIdentification><Standard>urn:a</Standard><TypeVersion>2.1</TypeVersion><InstanceIdentifier>i</InstanceIdentifier>\
<Type>a</Type><CreationDateAndTime>2026-01-01T00:00:00Z</CreationDateAndTime></DocumentIdentification><BusinessScope>\
<Scope><Type>DOCUMENTID</Type><InstanceIdentifier>urn:a::a##x::2.1</InstanceIdentifier><Identifier>busdox-docid-qns</Identifier>\
</Scope><Scope><Type>PROCESSID</Type><InstanceIdentifier>p</InstanceIdentifier></Scope><Scope><Type>COUNTRY_C1</Type>\
<InstanceIdentifier>LV</InstanceIdentifier></Scope></BusinessScope></StandardBusinessDocumentHeader><a xmlns=\"urn:a\"/>\
</StandardBusinessDocument>";

const REM: &str = "<rem:RetrievalNonRetrievalByRecipient xmlns:rem=\"http://uri.etsi.org/02640/v2#\" Id=\"e\" version=\"2.1.1\">\
<rem:EventCode>http://uri.etsi.org/02640/Event#Retrieval</rem:EventCode><rem:EvidenceIdentifier>1</rem:EvidenceIdentifier>\
<rem:EventTime>2026-01-01T00:00:00Z</rem:EventTime><rem:SenderDetails><rem:AttributedElectronicAddress scheme=\"s\">a\
</rem:AttributedElectronicAddress></rem:SenderDetails><rem:RecipientsDetails><rem:EntityDetails>\
<rem:AttributedElectronicAddress scheme=\"s\">b</rem:AttributedElectronicAddress></rem:EntityDetails></rem:RecipientsDetails>\
<rem:SenderMessageDetails isNotification=\"false\"><rem:MessageSubject>-</rem:MessageSubject><rem:MessageIdentifierByREMMD>\
1@a</rem:MessageIdentifierByREMMD></rem:SenderMessageDetails></rem:RetrievalNonRetrievalByRecipient>";
