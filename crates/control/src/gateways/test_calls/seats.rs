//! How many calls one may have under way.

use std::collections::HashMap;

use parking_lot::Mutex;
use uuid::Uuid;

use crate::api::Error;
use crate::session::Caller;

/// Who has how many under way.
#[derive(Default)]
pub(crate) struct Seats(Mutex<HashMap<Uuid, usize>>);

/// The place of a call; free again when it is dropped.
pub(super) struct Seat<'a> {
    seats: &'a Seats,
    who: Uuid,
}

/// Who tries things out waits for what they have tried.
const MOST_OF_ONE: usize = 8;

impl Seats {
    /// One more of a person, or of a token that belongs to nobody.
    pub(super) fn take(&self, caller: &Caller) -> Result<Seat<'_>, Error> {
        let who = caller.user().map_or(caller.id, |it| it.0);
        let mut taken = self.0.lock();
        let own = taken.entry(who).or_default();
        if *own == MOST_OF_ONE {
            return Err(Error::TooManyCalls(MOST_OF_ONE));
        }
        *own += 1;
        Ok(Seat { seats: self, who })
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        let mut taken = self.seats.0.lock();
        if let Some(own) = taken.get_mut(&self.who) {
            *own -= 1;
            if *own == 0 {
                taken.remove(&self.who);
            }
        }
    }
}
