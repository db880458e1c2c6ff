//! Requests of nobody whom we know. They name any workspace that they like, so while they are few
//! each is recorded in that one's log, and while they are many they are counted there: whoever has
//! no token must not be able to fill a disk.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use domain::{Workspace, WorkspaceId};
use parking_lot::Mutex;

/// The requests of one minute.
pub(crate) struct Strangers {
    counts: Mutex<Counts>,
    /// The minute in which what has been counted is to be recorded.
    due: AtomicU64,
}

#[derive(Default)]
struct Counts {
    minute: u64,
    by_workspace: HashMap<WorkspaceId, Crowd>,
    /// Of minutes that have passed.
    over: Vec<Crowd>,
}

/// Those who wanted something of one workspace in one minute.
pub(crate) struct Crowd {
    pub(crate) workspace: Arc<Workspace>,
    recorded: u32,
    /// How often each was turned away for which reason, beyond what has been recorded.
    pub(crate) counted: HashMap<(Peer, &'static str), u64>,
}

/// An address, or all for which there is no more room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Peer {
    Address(IpAddr),
    Others,
}

/// How many requests are recorded one by one, in each minute and workspace.
const RECORDED: u32 = 200;

/// How many addresses and reasons are told apart among those that are counted.
const COUNTED: usize = 100;

/// Nothing has been counted.
const NEVER: u64 = u64::MAX;

impl Strangers {
    /// Whether a request is to be recorded by itself. Else it has been counted.
    pub(crate) fn is_one_of_few(
        &self,
        workspace: &Arc<Workspace>,
        (peer, reason): (IpAddr, &'static str),
        now: Duration,
    ) -> bool {
        let minute = minute(now);
        let mut counts = self.counts.lock();
        counts.turn_to(minute);
        let crowd = counts.by_workspace.entry(workspace.id).or_insert_with(|| Crowd {
            workspace: Arc::clone(workspace),
            recorded: 0,
            counted: HashMap::new(),
        });
        if crowd.recorded < RECORDED {
            crowd.recorded += 1;
            return true;
        }
        let mut key = (Peer::Address(peer), reason);
        if COUNTED <= crowd.counted.len() && !crowd.counted.contains_key(&key) {
            key.0 = Peer::Others;
        }
        *crowd.counted.entry(key).or_default() += 1;
        self.due.fetch_min(minute + 1, Ordering::Relaxed);
        false
    }

    /// Whether there is something to [`take`](Self::take).
    pub(crate) fn is_due(&self, now: Duration) -> bool {
        self.due.load(Ordering::Relaxed) <= minute(now)
    }

    /// What has been counted in minutes that have passed.
    pub(crate) fn take(&self, now: Duration) -> Vec<Crowd> {
        let mut counts = self.counts.lock();
        counts.turn_to(minute(now));
        let is_counting = counts.by_workspace.values().any(|it| !it.counted.is_empty());
        let due = if is_counting { counts.minute + 1 } else { NEVER };
        self.due.store(due, Ordering::Relaxed);
        std::mem::take(&mut counts.over)
    }
}

impl Counts {
    fn turn_to(&mut self, minute: u64) {
        if self.minute < minute {
            self.minute = minute;
            let over = std::mem::take(&mut self.by_workspace);
            self.over.extend(over.into_values().filter(|it| !it.counted.is_empty()));
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Others => f.write_str("others"),
        }
    }
}

impl Default for Strangers {
    fn default() -> Self {
        Self { counts: Mutex::default(), due: AtomicU64::new(NEVER) }
    }
}

fn minute(now: Duration) -> u64 {
    now.as_secs() / 60
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::net::Ipv4Addr;

    use super::*;

    const AT_FIRST: Duration = Duration::from_secs(119);
    const A_MINUTE_LATER: Duration = Duration::from_secs(120);

    #[test]
    fn few_are_recorded_and_many_are_counted_each_minute_anew() {
        let (strangers, workspace) = (Strangers::default(), workspace(1));
        let ask = |now| strangers.is_one_of_few(&workspace, (peer(1), "unauthenticated"), now);
        let recorded = |now| (0..10_000).filter(|_| ask(now)).count();
        assert_eq!(recorded(AT_FIRST), 200);
        assert!(!strangers.is_due(AT_FIRST) && strangers.is_due(A_MINUTE_LATER));
        assert_eq!(recorded(A_MINUTE_LATER), 200);
        let mut over = strangers.take(A_MINUTE_LATER);
        let crowd = over.pop().unwrap();
        let key = (Peer::Address(peer(1)), "unauthenticated");
        assert_eq!(crowd.counted, HashMap::from([(key, 9_800)]));
        assert!(over.is_empty() && !strangers.is_due(A_MINUTE_LATER));
        assert_eq!(strangers.take(Duration::MAX).len(), 1, "the rest, at the end");
        assert!(!strangers.is_due(A_MINUTE_LATER * 100));
    }

    #[test]
    fn however_many_there_are_little_is_kept_of_them_and_none_is_forgotten() {
        let (strangers, one, other) = (Strangers::default(), workspace(1), workspace(2));
        for number in 0..10_000 {
            strangers.is_one_of_few(&one, (peer(number), "no_gateway"), AT_FIRST);
        }
        assert!(
            strangers.is_one_of_few(&other, (peer(1), "no_gateway"), AT_FIRST),
            "not its fault"
        );
        let crowd = strangers.take(A_MINUTE_LATER).pop().unwrap();
        assert_eq!((crowd.workspace.id, crowd.counted.len()), (one.id, 101));
        assert_eq!(crowd.counted.values().sum::<u64>(), 9_800);
    }

    fn peer(number: u32) -> IpAddr {
        Ipv4Addr::from_bits(number).into()
    }

    fn workspace(id: u128) -> Arc<Workspace> {
        Arc::new(Workspace {
            id: WorkspaceId(uuid::Uuid::from_u128(id)),
            name: "acme".parse().unwrap(),
            durability: domain::Durability::Written,
            addresses: domain::Addresses::default(),
            apps: domain::Table::new(),
            teams: domain::Table::new(),
            authority: Arc::default(),
            policies: Arc::default(),
            gateways: domain::Table::new(),
            lobby: domain::Lobby::default(),
            limits: Vec::new(),
            identities: domain::Table::new(),
            servers: domain::Table::new(),
            users: domain::Table::new(),
        })
    }
}
