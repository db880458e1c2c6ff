//! Calls that have begun and whose end has not been counted.
//!
//! Most end soon, and are in memory until then; where there are many, or one takes long, the oldest are in
//! the database instead. So a call is counted however long it took, and a start reads only so much anew.

use std::collections::{BTreeMap, HashMap, HashSet};

use db::{DbError, Tx};
use domain::WorkspaceId;
use uuid::Uuid;

use super::count::{CountError, read};
use super::leaf::{Key, Size, Tells};
use super::store;
use crate::App;

/// A call that has begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Begun {
    /// That of its intent.
    pub(super) index: u64,
    pub(super) key: Key,
    pub(super) size: Size,
}

/// All that have begun and not ended.
#[derive(Default)]
pub(super) struct Open {
    calls: HashMap<Uuid, Begun>,
    order: BTreeMap<u64, Uuid>,
    /// How many are in the database.
    apart: u64,
    /// What is to be put there, and what is to be deleted there.
    putting: HashMap<Uuid, Begun>,
    gone: HashSet<Uuid>,
}

/// How many calls are kept in memory; so few in tests that they see what happens to others.
const MOST: usize = if cfg!(test) { 4 } else { 4_096 };

/// After so many more records a call is no longer kept in memory. A start reads as many.
const MOST_BEHIND: u64 = if cfg!(test) { 20 } else { 10_000 };

impl Open {
    /// Those of `from..to` that have begun there and not ended there. `apart` are in the database.
    pub(super) async fn read(
        app: &App,
        workspace: WorkspaceId,
        (from, to): (u64, u64),
        apart: u64,
    ) -> Result<Self, CountError> {
        let mut open = Self { apart, ..Self::default() };
        let mut index = from;
        while index < to {
            let limit = usize::try_from(to - index).unwrap_or(MOST).min(MOST);
            let entries = read(app, workspace, index, limit).await?;
            if entries.is_empty() {
                return Err(CountError::Short);
            }
            for entry in &entries {
                match Tells::of(entry) {
                    Tells::Begun(call, key, size) => open.begin(call, Begun { index, key, size }),
                    Tells::Ended(call, _) => drop(open.forget(call)),
                    Tells::Refused(..) | Tells::Spoken(_) | Tells::Nothing => {}
                }
                index += 1;
            }
        }
        Ok(open)
    }

    pub(super) fn begin(&mut self, call: Uuid, begun: Begun) {
        self.order.insert(begun.index, call);
        self.calls.insert(call, begun);
    }

    /// What has begun as this call; nothing where nothing has.
    pub(super) async fn end(
        &mut self,
        app: &App,
        (workspace, log): (WorkspaceId, &str),
        call: Uuid,
    ) -> Result<Option<Begun>, CountError> {
        if let Some(begun) = self.forget(call).or_else(|| self.putting.remove(&call)) {
            return Ok(Some(begun));
        }
        if self.apart == 0 || self.gone.contains(&call) {
            return Ok(None);
        }
        let mut tx = app.db.read().await?;
        let found = store::open_call(&mut tx, (workspace, log), call).await?;
        if found.is_some() {
            self.gone.insert(call);
        }
        Ok(found)
    }

    /// Puts those apart that are too many, or have begun too long ago, as of that record.
    pub(super) fn put_apart(&mut self, index: u64) {
        while MOST < self.calls.len() || self.first().is_some_and(|it| it + MOST_BEHIND < index) {
            let Some((_, call)) = self.order.pop_first() else { return };
            if let Some(begun) = self.calls.remove(&call) {
                self.putting.insert(call, begun);
            }
        }
    }

    /// The index of the first one that is in memory only.
    pub(super) fn first(&self) -> Option<u64> {
        self.order.keys().next().copied()
    }

    /// How many there are.
    pub(super) fn count(&self) -> u64 {
        let here = self.calls.len() + self.putting.len();
        (self.apart + here as u64).saturating_sub(self.gone.len() as u64)
    }

    /// How many rows are to be written.
    pub(super) fn unwritten(&self) -> usize {
        self.putting.len() + self.gone.len()
    }

    pub(super) async fn write(
        &self,
        tx: &mut Tx,
        (workspace, log): (WorkspaceId, &str),
    ) -> Result<(), DbError> {
        for (call, begun) in &self.putting {
            store::put_open(tx, (workspace, log), (*call, begun)).await?;
        }
        for call in &self.gone {
            store::delete_open(tx, (workspace, log), *call).await?;
        }
        Ok(())
    }

    /// What there was to be written has been.
    pub(super) fn written(&mut self) {
        self.apart += self.putting.len() as u64;
        self.apart = self.apart.saturating_sub(self.gone.len() as u64);
        self.putting.clear();
        self.gone.clear();
    }

    fn forget(&mut self, call: Uuid) -> Option<Begun> {
        let begun = self.calls.remove(&call)?;
        self.order.remove(&begun.index);
        Some(begun)
    }
}
