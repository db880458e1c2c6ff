//! Word from other processes that something has been committed.
//!
//! A notice may be lost, come twice or out of order, and says nothing that anybody relies on: it is
//! a reason to look.

use sqlx::postgres::{PgListener, PgPool};

use crate::DbError;

/// A connection on which notices come.
pub struct Notices(PgListener);

/// Each schema has a channel of its own, whose name must be shorter than a schema's may be.
const CHANNEL: &str = "SELECT 'ostiary_' || md5(coalesce(current_schema(), ''))";
pub(crate) const ANNOUNCE: &str =
    "SELECT pg_notify('ostiary_' || md5(coalesce(current_schema(), '')), $1)";

impl Notices {
    pub(crate) async fn open(pool: &PgPool) -> Result<Self, DbError> {
        let channel: String = sqlx::query_scalar(CHANNEL).fetch_one(pool).await?;
        // It takes a connection of the pool's for as long as it lives.
        let mut listener = PgListener::connect_with(pool).await?;
        listener.listen(&channel).await?;
        Ok(Self(listener))
    }

    /// Waits for the next one. There may have been others while the connection was lost, and then
    /// this resolves as well.
    ///
    /// # Errors
    /// Where there is no connection to be had.
    pub async fn next(&mut self) -> Result<(), DbError> {
        self.0.try_recv().await?;
        Ok(())
    }
}
