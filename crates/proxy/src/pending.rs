//! Questions of upstreams that wait for a client's answer.
//!
//! A question keeps its place until its answer has left or cannot leave any more: so whoever takes
//! it back meanwhile finds it, and what the last gate holds back can be answered once more however
//! many others have been asked since.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use domain::Assignment;
use parking_lot::Mutex;

use crate::link::UpstreamSession;
use crate::rounds;

/// A question of an upstream that the client has been asked to answer.
#[derive(Clone)]
pub(crate) struct Pending {
    pub(crate) assignment: Arc<Assignment>,
    /// The tool that asks, if it is one.
    pub(crate) tool: Option<Box<str>>,
    pub(crate) whom: Whom,
}

/// Who waits for an answer.
#[derive(Clone)]
pub(crate) enum Whom {
    /// A legacy upstream, under its own id, as it wrote it.
    Upstream { upstream: Arc<UpstreamSession>, id: Bytes },
    /// A call, which goes on with it.
    Call(rounds::Slot),
}

/// All questions to one client.
#[derive(Default)]
pub(crate) struct Waiting(Mutex<Table>);

#[derive(Default)]
struct Table {
    /// By the ids that we gave them.
    questions: HashMap<u64, Asked>,
    /// How many there have been.
    given: u64,
    /// Whether the client has ended its session, and so can answer nothing any more.
    is_ended: bool,
}

struct Asked {
    pending: Pending,
    /// Whether an answer is on its way.
    is_answered: bool,
}

/// An answer on its way. Once dropped, its question is settled.
pub(crate) struct Answering<'a> {
    waiting: &'a Waiting,
    id: u64,
    pub(crate) pending: Pending,
}

/// How many requests of upstreams may wait for one client.
const MOST: usize = 64;

impl Waiting {
    /// Gives a request of an upstream the id under which the client will answer it.
    pub(crate) fn ask(&self, pending: Pending) -> Option<u64> {
        let mut table = self.0.lock();
        if MOST <= table.questions.len() || table.is_ended {
            return None;
        }
        table.given += 1;
        let id = table.given;
        table.questions.insert(id, Asked { pending, is_answered: false });
        Some(id)
    }

    /// The request that a client's answer belongs to. Each is answered once.
    pub(crate) fn answered(&self, id: u64) -> Option<Answering<'_>> {
        let mut table = self.0.lock();
        let asked = table.questions.get_mut(&id).filter(|it| !it.is_answered)?;
        asked.is_answered = true;
        Some(Answering { waiting: self, id, pending: asked.pending.clone() })
    }

    /// An upstream takes a request back: the id under which the client knows it.
    pub(crate) fn take_back(&self, upstream: &Arc<UpstreamSession>, id: &[u8]) -> Option<u64> {
        let mut table = self.0.lock();
        let is_it = |it: &Asked| match &it.pending.whom {
            Whom::Upstream { upstream: asks, id: theirs } => {
                Arc::ptr_eq(asks, upstream) && *theirs == id
            }
            Whom::Call(_) => false,
        };
        let ours = table.questions.iter().find_map(|(ours, it)| is_it(it).then_some(*ours))?;
        table.questions.remove(&ours);
        Some(ours)
    }

    /// Takes the requests back that an ended call has left, and says which of them are unanswered.
    pub(crate) fn forget(&self, ids: &[u64]) -> Vec<u64> {
        let mut table = self.0.lock();
        let mut is_open =
            |it: &u64| table.questions.remove(it).is_some_and(|asked| !asked.is_answered);
        ids.iter().copied().filter(|it| is_open(it)).collect()
    }

    /// Whoever waits for an answer hears that there will be none.
    pub(crate) fn end(&self) {
        let mut table = self.0.lock();
        table.is_ended = true;
        table.questions.clear();
    }
}

impl Answering<'_> {
    /// The answer has not left: the client may answer once more, unless the request has been taken
    /// back.
    pub(crate) fn ask_again(self) {
        if let Some(asked) = self.waiting.0.lock().questions.get_mut(&self.id) {
            asked.is_answered = false;
        }
    }
}

impl Drop for Answering<'_> {
    fn drop(&mut self) {
        let mut table = self.waiting.0.lock();
        // One that may be answered again stays.
        if table.questions.get(&self.id).is_some_and(|it| it.is_answered) {
            table.questions.remove(&self.id);
        }
    }
}
