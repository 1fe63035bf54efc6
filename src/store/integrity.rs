//! Checkpoints over the chains, and the proof that everything shown follows from what is stored.

use serde::Serialize;

use super::evidence::{self, StoredEvidence, hash, shown_record};
use super::ids::{digest, micros, time};
use super::shelf::Shelf;
use super::sql::{self, Conn, PostgresPool, Readers, Turn};
use super::writer::Work;
use super::{Config, Error, PayloadId, RecipientId, Store, payload_files};
use crate::clock::Timestamp;
use crate::crash;
use crate::status::chain::{Checkpoint, Leaf, START, Step, merkle_proof, merkle_root};
use crate::status::{Record, Row, fold};

/// Something that does not follow from what is stored.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "problem")]
pub enum Difference {
    /// The record shown is not the one the rows amount to.
    Record {
        /// Whose.
        recipient: RecipientId,
        /// As stored.
        stored: Box<Record>,
        /// As folded anew.
        folded: Box<Record>,
    },
    /// A value of a recipient cannot be read back.
    Unreadable {
        /// Whose.
        recipient: RecipientId,
        /// What and why.
        what: String,
    },
    /// A row of a chain was changed, or one is missing.
    Chain {
        /// Whose.
        recipient: RecipientId,
        /// The first row that does not hold.
        sequence: u32,
        /// What does not hold.
        what: String,
    },
    /// A checkpoint does not hold, or a chain does not agree with it.
    Checkpoint {
        /// Its number.
        number: i64,
        /// What does not hold.
        what: String,
    },
    /// The file of a payload is gone or was cut.
    Payload {
        /// Which payload.
        payload: PayloadId,
        /// The file and what is wrong with it.
        what: String,
    },
}

/// The result of recomputing everything.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Recomputed {
    /// Recipients looked at.
    pub recipients: u64,
    /// Evidence rows looked at.
    pub rows: u64,
    /// Checkpoints looked at.
    pub checkpoints: u64,
    /// Payload files looked at.
    pub payload_files: u64,
    /// Payload files that no row names, relative to the folder or prefix. While a node runs these may be payloads that are just
    /// arriving; otherwise the next start removes them.
    pub orphans: Vec<String>,
    /// What does not hold; empty when all is well.
    pub differences: Vec<Difference>,
}

/// A chain head in a checkpoint, with the way to its root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckpointProof {
    /// The checkpoint.
    pub checkpoint: Checkpoint,
    /// The head as it was then.
    pub leaf: Leaf,
    /// The steps from the leaf to the root.
    pub steps: Vec<Step>,
}

/// A chain head as a checkpoint holds it.
pub type SealedLeaf = Leaf;

impl Store {
    /// Writes checkpoints over all chain heads that changed since the last one, the number of the last; `None` when none did. Each is a
    /// transaction of its own over some of them: under load so many change in a minute that the store would stand still for one of all.
    ///
    /// # Errors
    /// The database's.
    pub async fn checkpoint(&self, now: Timestamp) -> Result<Option<i64>, Error> {
        let mut last = None;
        loop {
            crash::at(crash::Point::CheckpointBegun);
            let written =
                self.write(move |work| Box::pin(async move { checkpoint(work, now).await })).await?;
            crash::at(crash::Point::CheckpointCommitted);
            let Some((number, leaves)) = written else { return Ok(last) };
            last = Some(number);
            if leaves < LEAVES {
                return Ok(last);
            }
        }
    }

    /// Folds all chains anew, compares with the records shown, verifies hash chains and checkpoints, looks for every payload
    /// file. Reads only.
    ///
    /// # Errors
    /// The database's; damage is reported, not an error.
    pub async fn recompute(&self) -> Result<Recomputed, Error> {
        recompute(&mut self.read(), self.spool().shelf()).await
    }

    /// The same for a store that no node need have open, or that one has: reads only, takes no lock.
    ///
    /// # Errors
    /// As [`Store::recompute`]; [`Error::NotFound`] when there is no store.
    pub async fn recompute_at(config: &Config) -> Result<Recomputed, Error> {
        let shelf = Shelf::of(config)?;
        let mut conn = match &config.postgres {
            Some(postgres) => Conn::PostgresPool(PostgresPool::connect(postgres).await?),
            None => {
                let file = super::open::database(&config.path);
                if !file.is_file() {
                    return Err(Error::missing("store", config.path.display()));
                }
                Conn::SqliteReaders(Readers::open(&file, 1)?)
            }
        };
        recompute(&mut conn, &shelf).await
    }

    /// For every checkpoint that covers a recipient's chain, the proof that it does; oldest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn checkpoint_proofs(&self, recipient: RecipientId) -> Result<Vec<CheckpointProof>, Error> {
        let numbers: Vec<i64> = sql::query_scalar(
            "SELECT checkpoint FROM checkpoint_leaf WHERE recipient = ? ORDER BY checkpoint",
        )
        .bind(recipient.column())
        .fetch_all(&mut self.read())
        .await?;
        let mut proofs = Vec::with_capacity(numbers.len());
        for number in numbers {
            let leaves = leaves_of(&mut self.read(), number).await?;
            let name = recipient.to_string();
            let position = leaves.iter().position(|leaf| leaf.recipient == name);
            let (checkpoint, _) = read_checkpoint(&mut self.read(), number).await?;
            if let Some(position) = position {
                let steps = merkle_proof(&leaves, position);
                let leaf = leaves.into_iter().nth(position).ok_or_else(|| Error::missing("leaf", number))?;
                proofs.push(CheckpointProof { checkpoint, leaf, steps });
            }
        }
        Ok(proofs)
    }
}

/// Chain heads of one checkpoint at most.
const LEAVES: usize = 1000;

/// Its number, and how many chain heads are in it.
async fn checkpoint(work: &mut Work, now: Timestamp) -> Result<Option<(i64, usize)>, Error> {
    work.conn.take_turn(Turn::Checkpoint).await?;
    let rows = sql::query(
        "UPDATE recipient SET unsealed = 0 WHERE id IN (
             SELECT id FROM recipient WHERE unsealed = 1 AND chain_head IS NOT NULL LIMIT ?)
         RETURNING id, chain_length, chain_head",
    )
    .bind(LEAVES as i64)
    .fetch_all(&mut work.conn)
    .await?;
    if rows.is_empty() {
        return Ok(None);
    }
    let mut leaves = Vec::with_capacity(rows.len());
    for row in &rows {
        let head: &[u8] = row.get("chain_head")?;
        let sequence = row.get("chain_length")?;
        leaves.push(Leaf { recipient: row.get("id")?, sequence, head: hex::encode(head) });
    }
    leaves.sort_by(|a, b| a.recipient.cmp(&b.recipient));
    insert_checkpoint(work, &leaves, now).await.map(|number| Some((number, leaves.len())))
}

async fn insert_checkpoint(work: &mut Work, leaves: &[Leaf], now: Timestamp) -> Result<i64, Error> {
    let last =
        sql::query_as::<(i64, Vec<u8>)>("SELECT number, hash FROM checkpoint ORDER BY number DESC LIMIT 1")
            .fetch_optional(&mut work.conn)
            .await?;
    let (number, previous) = last.map_or((1, START.to_vec()), |(number, hash)| (number + 1, hash));
    let root = merkle_root(leaves);
    let at = time(micros(now))?;
    let sealed = Checkpoint {
        number,
        at: at.to_string(),
        leaves: leaves.len(),
        root: hex::encode(root),
        previous: hex::encode(&previous),
    };
    sql::query("INSERT INTO checkpoint (number, at, leaves, root, previous, hash) VALUES (?, ?, ?, ?, ?, ?)")
        .bind(number)
        .bind(micros(now))
        .bind(leaves.len() as i64)
        .bind(root.to_vec())
        .bind(previous)
        .bind(checkpoint_hash(&sealed)?.to_vec())
        .execute(&mut work.conn)
        .await?;
    for (position, leaf) in leaves.iter().enumerate() {
        let head = hex::decode(&leaf.head).unwrap_or_default();
        sql::query(
            "INSERT INTO checkpoint_leaf (checkpoint, position, recipient, sequence, head) VALUES (?, ?, ?, ?, ?)",
        )
        .bind(number)
        .bind(position as i64)
        .bind(&leaf.recipient)
        .bind(leaf.sequence)
        .bind(head)
        .execute(&mut work.conn)
        .await?;
    }
    Ok(number)
}

fn checkpoint_hash(checkpoint: &Checkpoint) -> Result<[u8; 32], Error> {
    checkpoint.hash().map_err(|e| Error::Damaged { what: "checkpoint", value: e.to_string() })
}

async fn recompute(conn: &mut Conn, shelf: &Shelf) -> Result<Recomputed, Error> {
    let mut result = Recomputed::default();
    let mut last = String::new();
    loop {
        let page = sql::query("SELECT * FROM recipient WHERE id > ? ORDER BY id LIMIT 500")
            .bind(&last)
            .fetch_all(conn)
            .await?;
        let Some(end) = page.last() else { break };
        last = end.get("id")?;
        for row in &page {
            let recipient = RecipientId::read(row.get("id")?)?;
            result.recipients += 1;
            match recompute_recipient(conn, recipient, row, &mut result).await {
                Err(damage @ Error::Damaged { .. }) => {
                    result.differences.push(Difference::Unreadable { recipient, what: damage.to_string() });
                }
                other => other?,
            }
        }
    }
    recompute_checkpoints(conn, &mut result).await?;
    payload_files::compare(conn, shelf, &mut result).await?;
    Ok(result)
}

async fn recompute_recipient(
    conn: &mut Conn,
    recipient: RecipientId,
    row: &sql::Row,
    result: &mut Recomputed,
) -> Result<(), Error> {
    let chain = evidence::chain(conn, recipient).await?;
    result.rows += chain.len() as u64;
    let head: Option<Vec<u8>> = row.get("chain_head")?;
    result.differences.extend(judge_chain(recipient, &chain, head.as_deref())?);
    result.differences.extend(judge_record(recipient, &chain, shown_record(row)?));
    Ok(())
}

/// The first row that does not hold, if any.
fn judge_chain(
    recipient: RecipientId,
    chain: &[StoredEvidence],
    head: Option<&[u8]>,
) -> Result<Option<Difference>, Error> {
    let mut previous = START;
    for (expected, stored) in (1..).zip(chain) {
        let sequence = stored.row.sequence;
        let broken = |what: &str| Some(Difference::Chain { recipient, sequence, what: what.to_owned() });
        if sequence != expected {
            return Ok(broken("a row is missing before it"));
        }
        if stored.previous != previous {
            return Ok(broken("it does not name the row before"));
        }
        if stored.sha256 != openssl::sha::sha256(&stored.raw) {
            return Ok(broken("its octets were changed"));
        }
        if stored.hash != hash(&stored.link(recipient))? {
            return Ok(broken("its values were changed"));
        }
        previous = stored.hash;
    }
    if head.is_some_and(|head| head == previous) {
        return Ok(None);
    }
    let sequence = chain.len() as u32;
    Ok(Some(Difference::Chain {
        recipient,
        sequence,
        what: "the last row is not the stored head".to_owned(),
    }))
}

fn judge_record(recipient: RecipientId, chain: &[StoredEvidence], stored: Record) -> Option<Difference> {
    let rows: Vec<Row> = chain.iter().map(|e| e.row.clone()).collect();
    let folded = fold(&rows);
    (folded != stored).then(|| Difference::Record {
        recipient,
        stored: Box::new(stored),
        folded: Box::new(folded),
    })
}

async fn recompute_checkpoints(conn: &mut Conn, result: &mut Recomputed) -> Result<(), Error> {
    let numbers: Vec<i64> =
        sql::query_scalar("SELECT number FROM checkpoint ORDER BY number").fetch_all(conn).await?;
    let mut previous = hex::encode(START);
    for (expected, number) in (1..).zip(numbers) {
        let (checkpoint, stored_hash) = read_checkpoint(conn, number).await?;
        let leaves = leaves_of(conn, number).await?;
        let mut broken = Vec::new();
        if number != expected {
            broken.push("a checkpoint is missing before it".to_owned());
        }
        if checkpoint.previous != previous {
            broken.push("it does not name the one before".to_owned());
        }
        if checkpoint.root != hex::encode(merkle_root(&leaves)) || checkpoint.leaves != leaves.len() {
            broken.push("its leaves were changed".to_owned());
        }
        if checkpoint_hash(&checkpoint)? != stored_hash {
            broken.push("its values were changed".to_owned());
        }
        broken.extend(leaves_without_row(conn, number).await?);
        previous = hex::encode(stored_hash);
        result.checkpoints += 1;
        result.differences.extend(broken.into_iter().map(|what| Difference::Checkpoint { number, what }));
    }
    Ok(())
}

/// Chains that do not hold the row that the checkpoint saw as their head: rewritten or cut since.
async fn leaves_without_row(conn: &mut Conn, number: i64) -> Result<Vec<String>, Error> {
    let gone: Vec<String> = sql::query_scalar(
        "SELECT recipient FROM checkpoint_leaf AS leaf WHERE checkpoint = ? AND NOT EXISTS (SELECT 1 FROM evidence
             WHERE evidence.recipient = leaf.recipient AND evidence.sequence = leaf.sequence AND hash = leaf.head)",
    )
    .bind(number)
    .fetch_all(conn)
    .await?;
    Ok(gone.into_iter().map(|r| format!("the chain of recipient {r} was rewritten since")).collect())
}

async fn read_checkpoint(conn: &mut Conn, number: i64) -> Result<(Checkpoint, [u8; 32]), Error> {
    let row = sql::query("SELECT * FROM checkpoint WHERE number = ?").bind(number).fetch_one(conn).await?;
    let root: &[u8] = row.get("root")?;
    let previous: &[u8] = row.get("previous")?;
    let checkpoint = Checkpoint {
        number,
        at: time(row.get("at")?)?.to_string(),
        leaves: row.get::<i64>("leaves")? as usize,
        root: hex::encode(root),
        previous: hex::encode(previous),
    };
    Ok((checkpoint, digest("checkpoint hash", row.get("hash")?)?))
}

async fn leaves_of(conn: &mut Conn, number: i64) -> Result<Vec<Leaf>, Error> {
    let rows = sql::query(
        "SELECT recipient, sequence, head FROM checkpoint_leaf WHERE checkpoint = ? ORDER BY position",
    )
    .bind(number)
    .fetch_all(conn)
    .await?;
    let mut leaves = Vec::with_capacity(rows.len());
    for row in &rows {
        let head: &[u8] = row.get("head")?;
        let sequence = row.get("sequence")?;
        leaves.push(Leaf { recipient: row.get("recipient")?, sequence, head: hex::encode(head) });
    }
    Ok(leaves)
}
