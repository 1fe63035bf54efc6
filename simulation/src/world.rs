//! Keys and configurations: made once, the same for every run.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use conformance::lab::Side;
use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::hash::MessageDigest;
use openssl::pkey::{Id, PKey, Private};
use openssl::x509::extension::{KeyUsage, SubjectKeyIdentifier};
use openssl::x509::{X509, X509NameBuilder};
use tempfile::TempDir;
use tilts::app;
use tilts::clock::Clock;
use tilts::config::Settings;
use tilts::store::{self, Store};

use crate::folders::{FOLDERS, mail};
use crate::machine::name;
use crate::plan::Plan;

/// PartyId type of both.
const PARTY_TYPE: &str = "urn:oasis:names:tc:ebcore:partyid-type:unregistered:tilts-simulation";
/// The configuration of a side, in its folder.
const FILE: &str = "tilts.toml";
/// The database of a store.
const DATABASE: &str = "tilts.db";
/// When every run begins, in the calendar.
pub const BEGIN: &str = "2026-12-01T00:00:00Z";
/// Octets that every run has its keys from: what a message is made of is to have the same length every time.
const KEYS: [u8; 32] = *b"keys of a simulation, no secret.";

/// Where keys lie and runs have their folders. In memory where the system has a place for that.
pub struct World {
    folder: TempDir,
    /// What each side has read of its configuration, when it is impatient and when it is patient, and when its backend calls and when that
    /// has a folder: the same at every start of every run.
    settings: [[[Settings; 2]; 2]; 2],
}

/// The folders of one run. They go when it is dropped.
pub struct Ground {
    folder: TempDir,
    settings: [Settings; 2],
    folders: [bool; 2],
}

impl World {
    /// Makes keys for both sides: Ed25519 and X25519, of eDelivery AS4 2.0.
    ///
    /// # Errors
    /// The system's.
    pub fn new() -> Result<Self> {
        let memory = Path::new("/dev/shm");
        let mut builder = tempfile::Builder::new();
        builder.prefix("tilts-simulation-");
        let folder = match memory.is_dir() {
            true => builder.tempdir_in(memory).or_else(|_| builder.tempdir())?,
            false => builder.tempdir()?,
        };
        for side in Side::BOTH {
            let keys = folder.path().join(name(side));
            fs::create_dir(&keys)?;
            let [sign, decrypt] = [Id::ED25519, Id::X25519].map(|kind| key(side, kind));
            let (sign, decrypt) = (sign?, decrypt?);
            keep(&keys.join("sign"), &certificate(side, &sign, &sign)?, &sign)?;
            keep(&keys.join("decrypt"), &certificate(side, &decrypt, &sign)?, &decrypt)?;
        }
        fresh_store(folder.path())?;
        let read = |side, patient| -> Result<[Settings; 2]> {
            Ok([read(folder.path(), side, (patient, false))?, read(folder.path(), side, (patient, true))?])
        };
        let both = |side| -> Result<[[Settings; 2]; 2]> { Ok([read(side, false)?, read(side, true)?]) };
        let settings = [both(Side::Sender)?, both(Side::Receiver)?];
        Ok(Self { folder, settings })
    }

    /// The folders of a run. The nodes find a store in which nothing is, or make it themselves where the machines are bare.
    ///
    /// # Errors
    /// The system's.
    pub fn ground(&self, plan: &Plan) -> Result<Ground> {
        let folder = tempfile::Builder::new().prefix("run-").tempdir_in(self.folder.path())?;
        let settings = Side::BOTH.map(|side| {
            let has_folder = plan.folders[side as usize];
            self.settings[side as usize][usize::from(plan.patient)][usize::from(has_folder)].clone()
        });
        let mut ground = Ground { folder, settings, folders: plan.folders };
        for (side, settings) in Side::BOTH.into_iter().zip(&mut ground.settings) {
            let own = ground.folder.path().join(name(side));
            fs::create_dir(&own)?;
            let has_folder = plan.folders[side as usize];
            fs::write(own.join(FILE), configuration(side, (plan.patient, has_folder)))?;
            for folder in FOLDERS.iter().filter(|_| has_folder) {
                fs::create_dir_all(mail(&own).join(folder))?;
            }
            settings.store.path = own.join("data");
            settings.base = own;
            if !plan.bare {
                fs::create_dir(&settings.store.path)?;
                fs::copy(self.folder.path().join(DATABASE), settings.store.path.join(DATABASE))?;
            }
        }
        Ok(ground)
    }
}

impl Ground {
    /// The configuration of a side.
    pub fn file(&self, side: Side) -> PathBuf {
        self.folder.path().join(name(side)).join(FILE)
    }

    /// The folder of the backend of a side, where it has one.
    pub fn mail(&self, side: Side) -> Option<PathBuf> {
        self.folders[side as usize].then(|| mail(&self.folder.path().join(name(side))))
    }

    /// The same as read.
    pub fn settings(&self, side: Side) -> &Settings {
        &self.settings[side as usize]
    }
}

/// What a side reads of its configuration, from the depth at which the folders of runs lie.
fn read(root: &Path, side: Side, kind: (bool, bool)) -> Result<Settings> {
    let clock = Clock::manual(BEGIN.parse()?);
    let folder = tempfile::Builder::new().tempdir_in(root)?;
    let own = folder.path().join(name(side));
    fs::create_dir(&own)?;
    fs::write(own.join(FILE), configuration(side, kind))?;
    app::check(&own.join(FILE), &clock).map_err(|problems| anyhow!("{problems}"))
}

/// A database as the first start of a node makes it, for every node that need not do that again. It belongs to nobody yet.
fn fresh_store(root: &Path) -> Result<()> {
    let folder = tempfile::Builder::new().tempdir_in(root)?;
    let config = store::Config { path: folder.path().to_owned(), ..store::Config::default() };
    let clock = Clock::manual(BEGIN.parse()?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    runtime.block_on(async { Store::open(&config, clock).await?.close().await })?;
    drop(runtime);
    let made = folder.path().join(DATABASE);
    let conn = rusqlite::Connection::open(&made)?;
    conn.execute_batch("DELETE FROM owner; PRAGMA wal_checkpoint(TRUNCATE);").context("a fresh database")?;
    conn.close().map_err(|(_, error)| error)?;
    Ok(fs::rename(made, root.join(DATABASE))?)
}

fn key(side: Side, kind: Id) -> Result<PKey<Private>> {
    let mut octets = KEYS;
    octets[0] = side as u8;
    Ok(PKey::private_key_from_raw_bytes(&octets, kind)?)
}

/// The same every time.
fn certificate(side: Side, key: &PKey<Private>, by: &PKey<Private>) -> Result<X509> {
    let mut builder = X509::builder()?;
    builder.set_version(2)?;
    builder.set_serial_number(BigNum::from_u32(1 + side as u32)?.to_asn1_integer()?.as_ref())?;
    let mut subject = X509NameBuilder::new()?;
    subject.append_entry_by_text("CN", &party(side))?;
    let subject = subject.build();
    builder.set_subject_name(&subject)?;
    builder.set_issuer_name(&subject)?;
    builder.set_not_before(Asn1Time::from_str("20200101000000Z")?.as_ref())?;
    builder.set_not_after(Asn1Time::from_str("20491231235959Z")?.as_ref())?;
    builder.set_pubkey(key)?;
    let mut usage = KeyUsage::new();
    match key.id() {
        Id::X25519 => usage.key_agreement(),
        _ => usage.digital_signature(),
    };
    builder.append_extension(usage.critical().build()?)?;
    builder.append_extension(SubjectKeyIdentifier::new().build(&builder.x509v3_context(None, None))?)?;
    builder.sign(by, MessageDigest::null())?;
    Ok(builder.build())
}

/// The certificate for others, and the key with it in one file for its owner.
fn keep(file: &Path, certificate: &X509, key: &PKey<Private>) -> Result<()> {
    let certificate = certificate.to_pem()?;
    fs::write(file.with_extension("key"), [certificate.clone(), key.private_key_to_pem_pkcs8()?].concat())?;
    Ok(fs::write(file.with_extension("pem"), certificate)?)
}

fn party(side: Side) -> String {
    format!("AP-{}", name(side).to_uppercase())
}

/// Where a side listens: for the other, for backends, for operators, and where what lies between carries things to it.
pub fn address(side: Side, port: u16) -> std::net::SocketAddr {
    let host = 1 + side as u8;
    std::net::SocketAddr::from(([127, 0, 0, host], port))
}

/// Port of the AS4 endpoint.
pub const AS4: u16 = 4444;
/// Port for backends.
pub const BACKEND: u16 = 8081;
/// Port for operators.
pub const ADMIN: u16 = 8082;
/// Port where the other side calls: what lies between listens there.
pub const BETWEEN: u16 = 4000;

/// The patient try for days, the others give up after seconds. The backend calls, or has a folder.
fn configuration(side: Side, (patient, has_folder): (bool, bool)) -> String {
    let adapter = if has_folder { "adapter = \"folder\"\npath = \"mail\"" } else { "adapter = \"rest\"" };
    let retry = match patient {
        true => "{ first_seconds = 1, factor = 1, longest_seconds = 1, within_seconds = 604800 }",
        false => "{ first_seconds = 1, factor = 2, longest_seconds = 4, within_seconds = 4 }",
    };
    let other = if side == Side::Sender { Side::Receiver } else { Side::Sender };
    let (own_name, other_name, own, party) = (name(side), name(other), party(side), party(other));
    let [as4, backend, admin] = [AS4, BACKEND, ADMIN].map(|port| address(side, port));
    let between = address(other, BETWEEN);
    let to = if side == Side::Sender { "to-b" } else { "to-a" };
    format!(
        r#"[node]
party_id = "{own}"
party_type = "{PARTY_TYPE}"
domain = "{own_name}.tilts.example"
[listen.as4]
address = "{as4}"
plain = true
[listen.backend]
address = "{backend}"
[listen.admin]
address = "{admin}"
[store]
path = "data"
[[key]]
file = "../../{own_name}/sign.key"
use = ["sign"]
[[key]]
file = "../../{own_name}/decrypt.key"
use = ["decrypt"]
[[backend]]
id = "all"
{adapter}
[limits]
exchange_seconds = 5
idle_seconds = 5
header_seconds = 5
[[partner]]
party_id = "{party}"
party_type = "{PARTY_TYPE}"
url = "http://{between}/as4"
allow_http = true
certificate = "../../{other_name}/decrypt.pem"
signer = "../../{other_name}/sign.pem"
tls_trust = "../../{other_name}/sign.pem"
egress_allow = ["127.0.0.0/8"]
ports = []
participants = ["{to}::*"]
[[agreement]]
partner = "{party}"
profile = "edelivery-2.0"
evidence = "rem"
overrides = {{ retry = {retry} }}
"#
    )
}
