//! What an operator does to an evidence message: it has no recipient, no status and no chain, so who did it and why is kept beside it.

use serde::Serialize;

use super::ids::{micros, time};
use super::settle::send_again;
use super::sql::{self, Sql};
use super::writer::Work;
use super::{Error, MessageRow, MessageState, Store};
use crate::clock::Timestamp;

/// One act of an operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ActView {
    /// When.
    pub at: Timestamp,
    /// What was ordered: `retry`.
    pub what: String,
    /// Who ordered it.
    pub who: String,
    /// Why.
    pub why: String,
}

const RETRY: &str = "retry";

impl Store {
    /// An operator's order to send an evidence message again: it becomes due now, and after its deadline has as long again as
    /// it had. One that is under way is what was asked for.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Conflict`] when it was received, is a recipient's, or is not waiting, failed or uncertain.
    pub async fn retry_message(&self, message: MessageRow, who: &str, why: &str) -> Result<(), Error> {
        let now = self.clock().now();
        let act = ActView { at: now, what: RETRY.to_owned(), who: who.to_owned(), why: why.to_owned() };
        self.write(move |work| {
            Box::pin(async move {
                may_be_sent_again(work, message).await?;
                requeue(work, message, now).await?;
                keep(work, message, &act).await
            })
        })
        .await?;
        self.made_due(message);
        Ok(())
    }

    /// Whether an operator has ordered an evidence message to be sent again and nothing was tried since.
    ///
    /// # Errors
    /// The database's.
    pub async fn is_message_ordered(&self, message: MessageRow) -> Result<bool, Error> {
        let ordered: Option<i64> =
            sql::query_scalar(IS_ORDERED).bind(message.column()).fetch_optional(&mut self.look()).await?;
        Ok(ordered.is_some())
    }

    /// What operators did to an evidence message, oldest first.
    pub(super) async fn acts_on(&self, message: &str) -> Result<Vec<ActView>, Error> {
        let rows = sql::query("SELECT at, what, who, why FROM act WHERE message = ? ORDER BY id")
            .bind(message)
            .fetch_all(&mut self.read())
            .await?;
        rows.iter().map(act_view).collect()
    }
}

pub(super) const IS_ORDERED: &str = "SELECT 1 FROM act WHERE message = ?1 AND what = 'retry'
     AND NOT EXISTS (SELECT 1 FROM attempt WHERE attempt.message = ?1 AND attempt.started > act.at) LIMIT 1";
const CURRENT: Sql = sql::locking!("SELECT direction, recipient, state FROM message WHERE id = ?");

async fn may_be_sent_again(work: &mut Work, message: MessageRow) -> Result<(), Error> {
    use MessageState::{Failed, Queued, Uncertain};
    let row = sql::query(CURRENT.on(&work.conn))
        .bind(message.column())
        .fetch_optional(&mut work.conn)
        .await?
        .ok_or_else(|| Error::missing("message", message))?;
    let refused = |why: String| Err(Error::conflict("message", message, why));
    if let Some(recipient) = row.get::<Option<&str>>("recipient")? {
        return refused(format!("is for the recipient `{recipient}`: order that one to be sent again"));
    }
    if row.get::<&str>("direction")? != "out" {
        return refused("was received: there is nothing to send".to_owned());
    }
    match row.get::<&str>("state")?.parse()? {
        Queued | Failed | Uncertain => Ok(()),
        state => refused(format!("is {state}: only what waits, failed or is uncertain can be sent again")),
    }
}

async fn requeue(work: &mut Work, message: MessageRow, now: Timestamp) -> Result<(), Error> {
    sql::query(concat!(send_again!(), " WHERE id = ?2"))
        .bind(micros(now))
        .bind(message.column())
        .execute(&mut work.conn)
        .await?;
    work.wake.outbound = true;
    Ok(())
}

async fn keep(work: &mut Work, message: MessageRow, act: &ActView) -> Result<(), Error> {
    sql::query("INSERT INTO act (id, message, at, what, who, why) VALUES (?, ?, ?, ?, ?, ?)")
        .bind(crate::id::row_id().to_string())
        .bind(message.column())
        .bind(micros(act.at))
        .bind(&act.what)
        .bind(&act.who)
        .bind(&act.why)
        .execute(&mut work.conn)
        .await?;
    Ok(())
}

fn act_view(row: &sql::Row) -> Result<ActView, Error> {
    Ok(ActView {
        at: time(row.get("at")?)?,
        what: row.get("what")?,
        who: row.get("who")?,
        why: row.get("why")?,
    })
}
