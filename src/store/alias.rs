//! Random names for private persons: a personal code never leaves in an address (model 5).

use super::sql;
use super::{Error, Store};

impl Store {
    /// The alias of `address`, made at the first call and the same ever after.
    ///
    /// # Errors
    /// The database's.
    pub async fn alias_for(&self, address: &str) -> Result<String, Error> {
        let address = address.to_owned();
        let fresh = uuid::Uuid::new_v4().simple().to_string();
        self.write(move |work| {
            Box::pin(async move {
                // The empty update makes RETURNING give the alias of before.
                sql::query_scalar(
                    "INSERT INTO alias (alias, address) VALUES (?, ?)
                     ON CONFLICT (address) DO UPDATE SET address = excluded.address RETURNING alias",
                )
                .bind(fresh)
                .bind(address)
                .fetch_one(&mut work.conn)
                .await
            })
        })
        .await
    }

    /// The address behind an alias, if we ever gave it out.
    ///
    /// # Errors
    /// The database's.
    pub async fn address_of(&self, alias: &str) -> Result<Option<String>, Error> {
        sql::query_scalar("SELECT address FROM alias WHERE alias = ?")
            .bind(alias)
            .fetch_optional(&mut self.look())
            .await
    }
}
