//! What has happened: the audit log's latest records, as they are written, and their proofs.

mod api;
mod checkpoint;
mod cover;
#[cfg(test)]
mod tests;

use audit::{Log, TailEntry, TreeError};
use uuid::Uuid;

pub(crate) use api::{RecordBody, installation_routes, routes};
pub(crate) use cover::{Cover, cover};

/// The newest records first: from before the index `before`, or the very newest. Reads the disk
/// where memory does not reach back far enough.
pub(crate) fn newest(
    log: &Log,
    workspace: Uuid,
    before: Option<u64>,
    limit: usize,
) -> Result<Vec<TailEntry>, TreeError> {
    // Read before the records: what has no index among them is in no tree of this size.
    let size = log.checkpoint(workspace).map_or(0, |head| head.size);
    let mut found = match before {
        Some(_) => Vec::new(),
        None => log.tail(workspace, limit),
    };
    found.reverse();
    let reached = found.iter().filter_map(|it| it.index).min();
    let end = before.or(reached).unwrap_or(size).min(size);
    let missing = limit.saturating_sub(found.len());
    let from = end.saturating_sub(u64::try_from(missing).unwrap_or(u64::MAX));
    let count = usize::try_from(end - from).unwrap_or(missing);
    if count != 0 {
        let older = log.entries(workspace, from, count)?;
        found.extend(older.into_iter().rev());
    }
    Ok(found)
}

/// The record at a place in the log. Reads the disk.
fn one(log: &Log, workspace: Uuid, index: u64) -> Result<Option<TailEntry>, TreeError> {
    let size = log.checkpoint(workspace).map_or(0, |head| head.size);
    if size <= index {
        return Ok(None);
    }
    Ok(log.entries(workspace, index, 1)?.pop())
}
