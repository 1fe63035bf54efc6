//! Letting payloads go: rows, statuses and evidence stay, with every digest; only the octets leave.

use sqlx::Row as _;

use super::ids::micros;
use super::{Error, Store, payload};
use crate::clock::Timestamp;

impl Store {
    /// Drops the octets of up to `limit` payloads that were stored before `before` and that nothing is waiting for: no message
    /// to be sent or of uncertain fate, no delivery that the backend has not settled. Returns how many were dropped.
    ///
    /// # Errors
    /// The database's. A file that cannot be removed now is removed at the next start.
    pub async fn drop_payloads(&self, before: Timestamp, limit: u32) -> Result<u64, Error> {
        let (dropped, files) = self
            .write(move |work| {
                Box::pin(async move {
                    let rows =
                        sqlx::query(DROP).bind(micros(before)).bind(limit).fetch_all(&mut work.conn).await?;
                    let mut files = Vec::new();
                    for row in &rows {
                        files.extend(row.try_get::<Option<String>, _>("file")?);
                    }
                    Ok((rows.len() as u64, files))
                })
            })
            .await?;
        payload::withdraw(self.spool(), files).await;
        Ok(dropped)
    }
}

const DROP: &str = "DELETE FROM payload_form WHERE payload IN (
    SELECT id FROM payload WHERE created < ?1
        AND EXISTS (SELECT 1 FROM payload_form WHERE payload = payload.id)
        AND NOT EXISTS (SELECT 1 FROM part JOIN message ON message.recipient = part.owner OR message.id = part.owner
            WHERE part.payload = payload.id AND direction = 'out' AND state IN ('queued', 'uncertain'))
        AND NOT EXISTS (SELECT 1 FROM part JOIN delivery ON delivery.message = part.owner
            WHERE part.payload = payload.id AND state IN ('waiting', 'at-disposal'))
    ORDER BY id LIMIT ?2) RETURNING file";
