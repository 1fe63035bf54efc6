//! Rows of the queues that cannot be read. Whoever leases passes them over, and an operator hears of each, once.

use std::fmt::Display;

use super::{Error, Store, readable};

/// Those of one look. They are told of after its transaction: what is raised inside of one goes with it.
#[derive(Debug, Default)]
pub(super) struct Unreadable(Vec<(&'static str, String, &'static str)>);

impl Unreadable {
    /// What was read of a row of the queue; nothing where it cannot be, which is kept here.
    ///
    /// # Errors
    /// Those of whoever read, but for [`Error::Damaged`].
    pub fn or<T>(
        &mut self,
        what: &'static str,
        id: impl Display,
        read: Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        if let Err(Error::Damaged { what: value, .. }) = &read {
            self.0.push((what, id.to_string(), value));
        }
        readable(what, id, read)
    }
}

impl Store {
    /// Raises a notice about each row, unless it still stands. Where the store fails the log has it, and the next look says it again: when the
    /// lease of the row has run out.
    pub(super) async fn tell_of(&self, rows: Unreadable) {
        for (what, id, value) in rows.0 {
            let text = format!(
                "{what} cannot be read from the database ({value}): it is left alone, and looked at again from time to time; the others go on"
            );
            if let Err(error) = self.raise_once("unreadable", &id, &text).await {
                tracing::warn!(row = id, %error, "no notice could be raised of {what} that cannot be read");
            }
        }
    }
}
