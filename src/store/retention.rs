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

/// The times of one round, as the statements take them.
#[derive(Clone)]
struct Times {
    latest: i64,
    otherwise: i64,
    of: String,
}

impl Retention {
    fn times(&self, now: Timestamp) -> Result<Times, Error> {
        let before = |kept: &SignedDuration| micros(now.checked_sub(*kept).unwrap_or(Timestamp::MIN));
        let otherwise = before(&self.otherwise);
        let of: BTreeMap<&String, i64> = self.of.iter().map(|(name, kept)| (name, before(kept))).collect();
        let latest = of.values().copied().chain([otherwise]).max().unwrap_or(otherwise);
        Ok(Times { latest, otherwise, of: json(&of)? })
    }
}

impl Store {
    /// Drops the octets of all payloads whose time is over with everyone they were exchanged with, and that nothing is waiting for:
    /// no message to be sent or of uncertain fate, no delivery that the backend has not settled, and for the longest time no
    /// evidence. Up to `limit` at a time, so that nothing else waits long for the store. Returns how many were dropped.
    ///
    /// # Errors
    /// The database's. A file that cannot be removed now is removed at the next start.
    pub async fn drop_payloads(
        &self,
        retention: &Retention,
        now: Timestamp,
        limit: u32,
    ) -> Result<u64, Error> {
        let times = retention.times(now)?;
        let (mut after, mut dropped) = (String::new(), 0);
        loop {
            // Found by who reads only: the walk may be long, and the writer is everybody's.
            let conn = &mut self.read();
            let over: Vec<String> = sql::query_scalar(FIND.on(conn))
                .bind(times.latest)
                .bind(limit)
                .bind(times.otherwise)
                .bind(&times.of)
                .bind(&after)
                .fetch_all(conn)
                .await?;
            let Some(last) = over.last().cloned() else { return Ok(dropped) };
            dropped += self.drop_between(&times, std::mem::replace(&mut after, last.clone()), last).await?;
        }
    }

    /// Of those behind `after` up to `last`; whether their time is over is asked again.
    async fn drop_between(&self, times: &Times, after: String, last: String) -> Result<u64, Error> {
        let times = times.clone();
        let dropped = self.write(move |work| {
            Box::pin(async move {
                let query = sql::query(DROP.on(&work.conn))
                    .bind(times.latest)
                    .bind(last)
                    .bind(times.otherwise)
                    .bind(times.of)
                    .bind(after);
                let rows = query.fetch_all(&mut work.conn).await?;
                let mut files = Vec::new();
                for row in &rows {
                    files.extend(row.get::<Option<String>>("file")?);
                }
                Ok((rows.len() as u64, files))
            })
        });
        let (dropped, files) = dropped.await?;
        payload::withdraw(self.spool(), files).await;
        Ok(dropped)
    }
}

/// ?1 the latest of all times, ?3 the time where nothing else was said, ?4 times by name as JSON, ?5 the payload behind which to look.
/// What was handed in for nobody (no recipient had a way), and what waits for evidence that may never come, is kept for the
/// time where nothing else was said.
macro_rules! over {
    ($times:literal, $domain:literal) => {
        concat!(
            "SELECT id FROM payload WHERE id > ?5 AND created < ?1
        AND EXISTS (SELECT 1 FROM payload_form WHERE payload = payload.id)
        AND (created < ?3 OR EXISTS (SELECT 1 FROM part WHERE part.payload = payload.id))
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
            WHERE part.payload = payload.id AND direction = 'out' AND (state IN ('queued', 'uncertain')
            OR (state = 'awaiting-evidence' AND payload.created >= ?3)))
        AND NOT EXISTS (SELECT 1 FROM part JOIN delivery ON delivery.message = part.owner
            WHERE part.payload = payload.id AND state IN ('waiting', 'at-disposal'))"
        )
    };
}
macro_rules! sqlite {
    () => {
        over!("SELECT value FROM json_each(?4) WHERE key", "json_extract(message.pmode, '$.domain')")
    };
}
macro_rules! postgres {
    () => {
        over!(
            "SELECT value::bigint FROM json_each_text(?4::json) WHERE key",
            "message.pmode::json ->> 'domain'"
        )
    };
}
/// ?2 how many.
const FIND: Sql = Sql {
    sqlite: concat!(sqlite!(), " ORDER BY id LIMIT ?2"),
    postgres: concat!(postgres!(), " ORDER BY id LIMIT ?2"),
};
/// ?2 the last of those that were found.
const DROP: Sql = Sql {
    sqlite: concat!(
        "DELETE FROM payload_form WHERE payload IN (",
        sqlite!(),
        " AND id <= ?2) RETURNING file"
    ),
    postgres: concat!(
        "DELETE FROM payload_form WHERE payload IN (",
        postgres!(),
        " AND id <= ?2) RETURNING file"
    ),
};
