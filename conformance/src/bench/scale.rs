//! What a node does with a million messages that wait and with ten thousand partners.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use openssl::bn::{BigNum, MsbOption};
use openssl::pkey::{Id, PKey, Public};
use openssl::rsa::Rsa;
use tokio::process::Command;

use crate::ca::{Purpose, Validity};
use crate::stage::Kind;
use crate::world::{PARTY_TYPE, World};

/// Python's own SQLite multiplies the last submission of a store, with everything that belongs to it, into messages that are due in
/// years: to hand in a million would take longer than everything else.
const MULTIPLY: &str = r#"import sqlite3, sys
c = sqlite3.connect(sys.argv[1], isolation_level=None)
count = int(sys.argv[2])
c.execute("PRAGMA synchronous = OFF")
c.execute("PRAGMA cache_size = -200000")
last = c.execute("SELECT message.id, recipient.id, submission FROM message JOIN recipient ON recipient.id = recipient ORDER BY message.id DESC LIMIT 1").fetchone()
new = "printf('01900000-0000-7000-8000-%012x', i)"
def multiply(table, key, value, changed):
    names = [row[1] for row in c.execute(f"PRAGMA table_info({table})")]
    columns = ", ".join(changed.get(name, f"old.{name}") for name in names)
    c.execute(f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})"
        f" INSERT INTO {table} SELECT {columns} FROM n, (SELECT * FROM {table} WHERE {key} = ?) old", (value,))
c.execute("BEGIN")
multiply("submission", "id", last[2], {"id": new, "client_id": "'waiting-' || i"})
multiply("recipient", "id", last[1], {"id": new, "submission": new, "unsealed": "0", "state": "'received'"})
multiply("message", "id", last[0], {"id": new, "recipient": new, "message_id": "'waiting-' || i || '@bench.example'",
    "state": "'queued'", "attempts": "0", "lease_until": "NULL", "deadline": "NULL", "due": "4102444800000000 + i"})
multiply("part", "owner", last[1], {"owner": new})
c.execute("COMMIT")
c.execute("PRAGMA wal_checkpoint(TRUNCATE)")
print(c.execute("SELECT count(*) FROM message WHERE state = 'queued'").fetchone()[0])"#;

/// Lets so many messages wait in the SQLite store of a node that does not run and that has sent one.
pub(super) async fn let_wait(data: &Path, count: u64) -> Result<()> {
    let mut command = Command::new("python3");
    command.args(["-c", MULTIPLY]).arg(data.join("tilts.db")).arg(count.to_string());
    let output =
        command.stdin(Stdio::null()).output().await.context("python3 is needed to fill the store")?;
    let said = String::from_utf8_lossy(&output.stdout);
    let waiting: u64 =
        said.trim().parse().with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
    ensure!(waiting >= count, "{waiting} messages wait instead of {count}");
    Ok(())
}

/// `[[partner]]` and `[[agreement]]` of so many access points that nobody will hear of, each with a certificate of its own in the
/// folder `strangers` of the world.
pub(super) fn strangers(count: u64, world: &World, kind: Kind) -> Result<String> {
    let folder = world.root.join("strangers");
    fs::create_dir_all(&folder)?;
    let mut all = String::new();
    for number in 0..count {
        let name = format!("AP-STRANGER-{number}");
        let certificate =
            world.ap_ca.certify(&*key_of_nobody(kind)?, &name, Purpose::Message, Validity::default())?;
        fs::write(folder.join(number.to_string()).with_extension("pem"), certificate.to_pem()?)?;
        all += &format!(
            "\n[[partner]]\nparty_id = \"{name}\"\nparty_type = \"{PARTY_TYPE}\"\n\
             url = \"https://ap-{number}.example/as4\"\ncertificate = \"../strangers/{number}.pem\"\n\
             tls_trust = \"../ca/tls.pem\"\nparticipants = [\"stranger-{number}::*\"]\n\
             [[agreement]]\npartner = \"{name}\"\nprofile = \"{}\"\n",
            kind.profile()
        );
    }
    Ok(all)
}

/// A public key that messages can be encrypted for. To make ten thousand RSA keys that somebody could use would take an hour.
fn key_of_nobody(kind: Kind) -> Result<PKey<Public>> {
    if kind != Kind::Rsa {
        let octets = PKey::generate_x25519()?.raw_public_key()?;
        return Ok(PKey::public_key_from_raw_bytes(&octets, Id::X25519)?);
    }
    let mut modulus = BigNum::new()?;
    modulus.rand(2048, MsbOption::ONE, true)?;
    Ok(PKey::from_rsa(Rsa::from_public_components(modulus, BigNum::from_u32(65_537)?)?)?)
}
