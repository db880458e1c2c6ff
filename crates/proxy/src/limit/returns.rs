//! Calls whose servers have asked their clients something and forgotten the call.
//!
//! Such a client comes back with the state that its server has given it, and the server is called
//! again: that is the same call once more, and so no other one. What a server's state says only the
//! server knows. So each that is released is remembered here, with the call that it was for and for a
//! while, and lets one request pass uncounted that asks for the same. Where it is not remembered, the
//! request counts.

use std::collections::HashMap;
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};
use mcp::bridge::state::Bound;
use parking_lot::Mutex;

/// States that have been released, each for one return.
#[derive(Default)]
pub(crate) struct Returns(Mutex<HashMap<Key, Expected>>);

type Key = [u8; 32];

#[derive(Clone, Copy)]
struct Expected {
    /// On the clock that counts up.
    until: Duration,
    /// How often the client has been asked in this call.
    round: u32,
}

/// How many are remembered: some megabyte.
const MOST: usize = 10_000;

/// A server that asks more often makes another call of it.
const MOST_ROUNDS: u32 = 64;

impl Returns {
    /// Remembers a state that is released in a round of a call.
    pub(super) fn expect(
        &self,
        (call, state): (&Bound, &str),
        round: u32,
        (now, patience): (Duration, Duration),
    ) {
        if MOST_ROUNDS <= round {
            return;
        }
        let mut all = self.0.lock();
        if MOST <= all.len() {
            all.retain(|_, it| now < it.until);
        }
        if all.len() < MOST {
            let until = now.saturating_add(patience);
            all.insert(key(call, state), Expected { until, round: round + 1 });
        }
    }

    /// Which round of a call a request with that state is; nothing where it is a call of its own.
    pub(super) fn take(&self, (call, state): (&Bound, &str), now: Duration) -> Option<u32> {
        let expected = self.0.lock().remove(&key(call, state))?;
        (now < expected.until).then_some(expected.round)
    }
}

fn key(call: &Bound, state: &str) -> Key {
    let mut context = Context::new(&SHA256);
    let Bound { workspace, principal, route, upstream, method, params } = call;
    for part in [workspace, principal, route, upstream, method, params] {
        context.update(&part.len().to_be_bytes());
        context.update(part.as_bytes());
    }
    context.update(state.as_bytes());
    let mut key = Key::default();
    key.copy_from_slice(context.finish().as_ref());
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(app: &str) -> Bound {
        let text = String::new;
        let (workspace, route, upstream) = (text(), text(), text());
        let (principal, method, params) = (app.to_owned(), text(), text());
        Bound { workspace, principal, route, upstream, method, params }
    }

    #[test]
    fn a_state_lets_one_return_pass_in_time_and_of_its_own_call() {
        let (returns, call, other) = (Returns::default(), call("a"), call("b"));
        let second = Duration::from_secs(1);
        let expect = |round, now| returns.expect((&call, "state"), round, (now, 10 * second));
        assert_eq!(returns.take((&call, "state"), second), None);
        expect(0, second);
        assert_eq!(returns.take((&other, "state"), second), None);
        assert_eq!(returns.take((&call, "other"), second), None);
        assert_eq!(returns.take((&call, "state"), 10 * second), Some(1));
        assert_eq!(returns.take((&call, "state"), 10 * second), None, "once");
        expect(1, second);
        assert_eq!(returns.take((&call, "state"), 11 * second), None, "late");
        expect(MOST_ROUNDS, second);
        assert_eq!(returns.take((&call, "state"), second), None, "too often");
    }

    #[test]
    fn as_many_are_remembered_as_there_is_room_for() {
        let (returns, call) = (Returns::default(), call("a"));
        let second = Duration::from_secs(1);
        for i in 0..=MOST {
            returns.expect((&call, &i.to_string()), 0, (second, second));
        }
        assert_eq!(returns.take((&call, &MOST.to_string()), second), None);
        returns.expect((&call, "later"), 0, (2 * second, second));
        assert_eq!(returns.0.lock().len(), 1, "what has expired makes room");
    }
}
