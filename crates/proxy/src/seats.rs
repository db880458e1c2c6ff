//! How much of something each app may have at a time, and all of them together.
//!
//! What one app takes must leave something for the others, and what all take must leave us standing.

use std::collections::HashMap;
use std::sync::Arc;

use domain::AppId;
use parking_lot::Mutex;

/// A number of places.
pub(crate) struct Seats {
    taken: Mutex<HashMap<AppId, usize>>,
    per_app: usize,
    total: usize,
}

/// One place, until it is dropped.
pub(crate) struct Seat {
    seats: Arc<Seats>,
    app: AppId,
}

impl Seats {
    pub(crate) fn new(per_app: usize, total: usize) -> Arc<Self> {
        Arc::new(Self { taken: Mutex::default(), per_app, total })
    }

    /// A place for an app, if there is one left for it.
    pub(crate) fn take(self: &Arc<Self>, app: AppId) -> Option<Seat> {
        let mut taken = self.taken.lock();
        if self.total <= taken.values().sum() {
            return None;
        }
        let own = taken.entry(app).or_default();
        if self.per_app <= *own {
            return None;
        }
        *own += 1;
        Some(Seat { seats: Arc::clone(self), app })
    }

    pub(crate) fn len(&self) -> usize {
        self.taken.lock().values().sum()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.taken.lock();
        if let Some(own) = taken.get_mut(&self.app) {
            *own -= 1;
            if *own == 0 {
                taken.remove(&self.app);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn no_app_takes_more_than_its_own_and_all_no_more_than_there_is() {
        let [one, two, three] = [1, 2, 3].map(|it| AppId(Uuid::from_u128(it)));
        let seats = Seats::new(2, 3);
        let first = seats.take(one).unwrap();
        let _second = seats.take(one).unwrap();
        assert!(seats.take(one).is_none(), "its own are taken");
        let _third = seats.take(two).unwrap();
        assert!(seats.take(three).is_none(), "all are taken");
        drop(first);
        assert_eq!(seats.len(), 2);
        assert!(seats.take(three).is_some());
    }
}
