//! Counts what the leaves tell, and pairs intents with outcomes. No I/O.

use std::collections::HashSet;

use serde::Deserialize;
use uuid::Uuid;

use super::{ContentReport, WorkspaceReport};
use crate::entry::{Kind, Record};
use crate::merkle::Hash;

/// What has been counted so far.
#[derive(Default)]
pub(super) struct Leaves {
    intents: u64,
    outcomes: u64,
    without_intent: u64,
    others: u64,
    /// Calls that have not ended. Small, since calls end soon.
    open: HashSet<Uuid>,
    /// Intents that do not name their call.
    nameless: u64,
}

/// The member that pairs.
#[derive(Deserialize)]
struct Call {
    call: Uuid,
}

impl Leaves {
    pub(super) fn visit(&mut self, record: &Record<'_>) {
        let call = || serde_json::from_slice::<Call>(record.leaf).ok().map(|leaf| leaf.call);
        match record.kind {
            Kind::Intent => {
                self.intents += 1;
                let is_new = call().is_some_and(|call| self.open.insert(call));
                self.nameless += u64::from(!is_new);
            }
            Kind::Outcome => {
                self.outcomes += 1;
                let is_paired = call().is_some_and(|call| self.open.remove(&call));
                self.without_intent += u64::from(!is_paired);
            }
            Kind::Admin | Kind::System => self.others += 1,
        }
    }

    pub(super) fn report(
        self,
        workspace: Uuid,
        (size, root): (u64, Hash),
        unsequenced: u64,
    ) -> WorkspaceReport {
        WorkspaceReport {
            workspace,
            size,
            root,
            unsequenced,
            intents: self.intents,
            outcomes: self.outcomes,
            outcomes_unknown: self.open.len() as u64 + self.nameless,
            without_intent: self.without_intent,
            others: self.others,
            content: ContentReport::default(),
        }
    }
}
