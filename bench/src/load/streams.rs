//! Streams that are opened and then only held.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use tokio::runtime::Runtime;

use super::connection::Connection;
use super::message::FIRST_NUMBER;
use super::target::Target;
use crate::cores;

/// Open streams of one target; dropping them closes them.
pub(crate) struct Streams {
    runtime: Runtime,
    open: Vec<Connection>,
}

impl Streams {
    /// Opens `count` modern subscriptions, each acknowledged before it counts.
    pub(crate) fn open(target: &Target, count: usize, cores: &[usize]) -> Result<Self> {
        cores::pin(cores)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let opening = stream::iter(0..count)
            .map(|number| async move {
                let target = target.in_turn(number);
                let filter = r#""notifications":{"toolsListChanged":true}"#;
                let mut request = target.modern("subscriptions/listen", None, filter);
                let mut connection = target.connect().await?;
                let number = FIRST_NUMBER + number as u64;
                let first = "notifications/subscriptions/acknowledged";
                connection.open_stream(request.with(number), Some(first)).await?;
                anyhow::Ok(connection)
            })
            .buffer_unordered(AT_ONCE)
            .try_collect();
        let open = runtime.block_on(async { tokio::time::timeout(LONGEST, opening).await });
        let open: Vec<_> = open.context("streams were not opened in time")??;
        Ok(Self { runtime, open })
    }

    /// Fails if one of them was closed meanwhile.
    pub(crate) fn are_open(&mut self) -> Result<()> {
        let open = &mut self.open;
        let closed = self.runtime.block_on(async {
            // Lets the runtime hear what the sockets have to say.
            tokio::time::sleep(Duration::from_millis(10)).await;
            open.iter_mut().filter_map(|one| (!one.is_open()).then_some(())).count()
        });
        ensure!(closed == 0, "{closed} of {} streams were closed", self.open.len());
        Ok(())
    }
}

/// Fewer than the backlog of a listener, so that none waits for a repeated handshake.
const AT_ONCE: usize = 64;

const LONGEST: Duration = Duration::from_secs(120);
