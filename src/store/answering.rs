//! Whether whoever writes does what it is asked to. A store that can be read looks healthy though it takes nothing any more: so it is
//! asked to commit a change that changes nothing, which waits its turn as every other, and of which nothing comes onto the disk.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::sql::{self, Conn, Dialect};
use super::writer::{Work, Writer};
use super::{Error, Store};

/// Whoever asks waits for an answer for so long; after that the one before counts, as long as it is not late.
const SHORTLY: Duration = Duration::from_millis(500);

/// Whoever takes something over asks so often.
const NOW_AND_THEN: Duration = Duration::from_secs(1);
/// And gives way to a writer that has not answered for so long.
pub(super) const PACE: Duration = Duration::from_secs(15);

/// What is known of the writer.
#[derive(Clone)]
pub(super) struct Answering(Arc<watch::Sender<Known>>);

struct Known {
    /// Since when an answer is waited for.
    asked: Option<Instant>,
    /// When the last one was asked for.
    last: Option<Instant>,
    /// The last one.
    answer: Result<(), Error>,
}

impl Answering {
    /// Nothing was asked yet.
    pub fn new() -> Self {
        Self(Arc::new(watch::channel(Known { asked: None, last: None, answer: Ok(()) }).0))
    }

    /// Asks, unless that is under way; however many want to know, the writer has one question at a time.
    fn ask(&self, writer: &Writer) {
        let begins = self.0.send_if_modified(|known| {
            let begins = known.asked.is_none();
            if begins {
                known.asked = Some(Instant::now());
                known.last = known.asked;
            }
            begins
        });
        if begins {
            let (this, writer) = (self.clone(), writer.clone());
            tokio::spawn(async move {
                let answer = writer.run(|work| Box::pin(nothing(work))).await;
                this.0.send_modify(|known| {
                    known.asked = None;
                    known.answer = answer;
                });
            });
        }
    }

    /// Whether a question has waited for as long as `patience`; waits for nothing, and asks now and then.
    fn pace(&self, writer: &Writer, patience: Duration) -> Result<(), Error> {
        let (asked, last) = {
            let known = self.0.borrow();
            (known.asked, known.last)
        };
        match asked.map(|asked| asked.elapsed()) {
            Some(waited) if waited >= patience => return Err(Error::Silent { seconds: waited.as_secs() }),
            Some(_) => {}
            None if last.is_none_or(|last| last.elapsed() > NOW_AND_THEN) => self.ask(writer),
            None => {}
        }
        Ok(())
    }

    async fn check(&self, writer: &Writer, patience: Duration) -> Result<(), Error> {
        let mut known = self.0.subscribe();
        self.ask(writer);
        let _ = timeout(SHORTLY.min(patience), known.wait_for(|known| known.asked.is_none())).await;
        let known = self.0.borrow();
        match known.asked.map(|asked| asked.elapsed()) {
            Some(waited) if waited >= patience => Err(Error::Silent { seconds: waited.as_secs() }),
            _ => known.answer.clone(),
        }
    }
}

/// Changes nothing, where something could be changed: a PostgreSQL server that only follows another one commits nothing gladly.
async fn nothing(work: &mut Work) -> Result<(), Error> {
    match work.conn.dialect() {
        Dialect::Sqlite => Ok(()),
        Dialect::Postgres => may_write(&mut work.conn).await,
    }
}

pub(super) async fn may_write(conn: &mut Conn) -> Result<(), Error> {
    let read_only: String =
        sql::query_scalar("SELECT current_setting('transaction_read_only')").fetch_one(conn).await?;
    if read_only == "on" { Err(Error::ReadOnly) } else { Ok(()) }
}

impl Store {
    /// Whether what is asked of the store is committed: it is when the last question was answered well and none has waited for an
    /// answer for as long as `patience`. Does not wait that long itself.
    ///
    /// # Errors
    /// [`Error::Silent`]; [`Error::Closed`], also when whoever wrote is gone; the database's, when it takes nothing.
    pub async fn check_writing(&self, patience: Duration) -> Result<(), Error> {
        self.answering().check(self.writer(), patience).await
    }

    /// Whether the writer keeps nobody waiting for as long as `patience`, as far as is known; to be asked for each message.
    ///
    /// # Errors
    /// [`Error::Silent`].
    pub(super) fn check_pace(&self, patience: Duration) -> Result<(), Error> {
        self.answering().pace(self.writer(), patience)
    }
}
