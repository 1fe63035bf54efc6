//! Letting payloads go: rows, statuses and evidence stay, with every digest; only the octets leave.

use std::collections::BTreeMap;

use super::ids::{json, micros};
use super::sql::{self, Sql};
use super::{Error, Store, payload};
use crate::clock::{SignedDuration, Timestamp};

/// How long the octets of payloads are kept, from the moment they were stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retention {
    /// Where nothing else was said.
    pub otherwise: SignedDuration,
    /// By name of the domain, or [`super::PARTNER`] and the PartyId.
    pub of: BTreeMap<String, SignedDuration>,
}

impl Store {
    /// Drops the octets of up to `limit` payloads whose time is over with everyone they were exchanged with, and that nothing is
    /// waiting for: no message to be sent or of uncertain fate, no delivery that the backend has not settled. Returns how many
    /// were dropped.
    ///
    /// # Errors
    /// The database's. A file that cannot be removed now is removed at the next start.
    pub async fn drop_payloads(
        &self,
        retention: &Retention,
        now: Timestamp,
        limit: u32,
    ) -> Result<u64, Error> {
        let before = |kept: &SignedDuration| micros(now.checked_sub(*kept).unwrap_or(Timestamp::MIN));
        let otherwise = before(&retention.otherwise);
        let of: BTreeMap<&String, i64> =
            retention.of.iter().map(|(name, kept)| (name, before(kept))).collect();
        let latest = of.values().copied().chain([otherwise]).max().unwrap_or(otherwise);
        let of = json(&of)?;
        let (dropped, files) = self
            .write(move |work| {
                Box::pin(async move {
                    let query =
                        sql::query(DROP.on(&work.conn)).bind(latest).bind(limit).bind(otherwise).bind(of);
                    let rows = query.fetch_all(&mut work.conn).await?;
                    let mut files = Vec::new();
                    for row in &rows {
                        files.extend(row.get::<Option<String>>("file")?);
                    }
                    Ok((rows.len() as u64, files))
                })
            })
            .await?;
        payload::withdraw(self.spool(), files).await;
        Ok(dropped)
    }
}

/// ?1 the latest of all times, ?2 how many, ?3 the time where nothing else was said, ?4 times by name as JSON.
macro_rules! drop {
    ($times:literal, $domain:literal) => {
        concat!(
            "DELETE FROM payload_form WHERE payload IN (
    SELECT id FROM payload WHERE created < ?1
        AND EXISTS (SELECT 1 FROM payload_form WHERE payload = payload.id)
        AND NOT EXISTS (SELECT 1 FROM part JOIN recipient ON recipient.id = part.owner
            WHERE part.payload = payload.id AND payload.created >= coalesce((",
            $times,
            " = recipient.domain), ?3))
        AND NOT EXISTS (SELECT 1 FROM part JOIN message ON message.id = part.owner
            WHERE part.payload = payload.id AND payload.created >= coalesce((",
            $times,
            " = coalesce(",
            $domain,
            ", 'partner:' || CASE direction WHEN 'in' THEN from_party ELSE to_party END)), ?3))
        AND NOT EXISTS (SELECT 1 FROM part JOIN message ON message.recipient = part.owner OR message.id = part.owner
            WHERE part.payload = payload.id AND direction = 'out' AND state IN ('queued', 'uncertain'))
        AND NOT EXISTS (SELECT 1 FROM part JOIN delivery ON delivery.message = part.owner
            WHERE part.payload = payload.id AND state IN ('waiting', 'at-disposal'))
    ORDER BY id LIMIT ?2) RETURNING file"
        )
    };
}
const DROP: Sql = Sql {
    sqlite: drop!("SELECT value FROM json_each(?4) WHERE key", "json_extract(message.pmode, '$.domain')"),
    postgres: drop!(
        "SELECT value::bigint FROM json_each_text(?4::json) WHERE key",
        "message.pmode::json ->> 'domain'"
    ),
};
