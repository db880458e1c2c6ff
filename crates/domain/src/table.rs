//! A map whose copies share what is the same in them.
//!
//! A snapshot is replaced and never changed, and most of it stays: so a copy costs nothing, and what
//! is put into it or taken out copies a part that grows with the square root of the whole. Looking
//! something up costs a step more than in the map of the standard library.

use std::borrow::Borrow;
use std::fmt;
use std::hash::{BuildHasher as _, Hash, RandomState};
use std::ops::Index;
use std::sync::Arc;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

/// A map, in no order.
#[derive(Clone)]
pub struct Table<K, V> {
    hasher: RandomState,
    /// As many as a power of two, or none at all.
    shards: Arc<[Arc<Shard<K, V>>]>,
    len: usize,
}

type Shard<K, V> = HashTable<(K, V)>;

impl<K, V> Table<K, V> {
    pub fn new() -> Self {
        Self { hasher: RandomState::new(), shards: Arc::from([]), len: 0 }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> + Clone {
        self.shards.iter().flat_map(|it| it.iter()).map(|(key, value)| (key, value))
    }

    pub fn keys(&self) -> impl Iterator<Item = &K> + Clone {
        self.iter().map(|it| it.0)
    }

    pub fn values(&self) -> impl Iterator<Item = &V> + Clone {
        self.iter().map(|it| it.1)
    }

    /// All that may be another here than there, or not be there at all: of two of which one has been
    /// made from the other, little more than what is.
    pub fn apart_from<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = (&'a K, &'a V)> {
        let is_alike = self.shards.len() == other.shards.len();
        let is_shared = move |(n, it): &(usize, &Arc<Shard<K, V>>)| {
            is_alike && other.shards.get(*n).is_some_and(|theirs| Arc::ptr_eq(it, theirs))
        };
        let shards = self.shards.iter().enumerate().filter(move |it| !is_shared(it));
        shards.flat_map(|(_, it)| it.iter()).map(|(key, value)| (key, value))
    }

    /// Where in the table something is: other bits of the hash say where in its shard.
    fn place(&self, hash: u64) -> usize {
        let shard = usize::try_from(hash >> 32).unwrap_or_default();
        shard & self.shards.len().saturating_sub(1)
    }
}

impl<K: Hash + Eq, V> Table<K, V> {
    pub fn get<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.get_key_value(key).map(|it| it.1)
    }

    pub fn get_key_value<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<(&K, &V)>
    where
        K: Borrow<Q>,
    {
        let hash = self.hasher.hash_one(key);
        let shard = self.shards.get(self.place(hash))?;
        shard.find(hash, |it| it.0.borrow() == key).map(|(key, value)| (key, value))
    }

    pub fn contains_key<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.get(key).is_some()
    }
}

impl<K: Clone + Hash + Eq, V: Clone> Table<K, V> {
    /// Puts a value in; gives back what was there under the key.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        self.grow();
        let hash = self.hasher.hash_one(&key);
        let (place, hasher) = (self.place(hash), &self.hasher);
        let shard = Arc::make_mut(Arc::make_mut(&mut self.shards).get_mut(place)?);
        match shard.entry(hash, |it| it.0 == key, |it| hasher.hash_one(&it.0)) {
            Entry::Occupied(mut known) => Some(std::mem::replace(&mut known.get_mut().1, value)),
            Entry::Vacant(free) => {
                free.insert((key, value));
                self.len += 1;
                None
            }
        }
    }

    /// Takes a value out.
    pub fn remove<Q: Hash + Eq + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        // What is not there is no reason to copy anything.
        if !self.contains_key(key) {
            return None;
        }
        let hash = self.hasher.hash_one(key);
        let place = self.place(hash);
        let shard = Arc::make_mut(Arc::make_mut(&mut self.shards).get_mut(place)?);
        let found = shard.find_entry(hash, |it| it.0.borrow() == key).ok()?;
        self.len -= 1;
        Some(found.remove().0.1)
    }

    /// About as many shards as things in each of them: a change copies both, one time.
    fn grow(&mut self) {
        let count = self.shards.len();
        if self.len < count * count {
            return;
        }
        let count = (2 * count).max(1);
        let mut shards: Vec<Shard<K, V>> = (0..count).map(|_| HashTable::new()).collect();
        let hasher = &self.hasher;
        for it in self.shards.iter().flat_map(|it| it.iter()) {
            let hash = hasher.hash_one(&it.0);
            let place = usize::try_from(hash >> 32).unwrap_or_default() & (count - 1);
            if let Some(shard) = shards.get_mut(place) {
                shard.insert_unique(hash, it.clone(), |it| hasher.hash_one(&it.0));
            }
        }
        self.shards = shards.into_iter().map(Arc::new).collect();
    }
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Clone + Hash + Eq, V: Clone> FromIterator<(K, V)> for Table<K, V> {
    /// Later ones replace earlier ones.
    fn from_iter<I: IntoIterator<Item = (K, V)>>(all: I) -> Self {
        let mut table = Self::new();
        for (key, value) in all {
            table.insert(key, value);
        }
        table
    }
}

impl<K: Clone + Hash + Eq, V: Clone, const N: usize> From<[(K, V); N]> for Table<K, V> {
    fn from(all: [(K, V); N]) -> Self {
        all.into_iter().collect()
    }
}

impl<K: Borrow<Q> + Hash + Eq, Q: Hash + Eq + ?Sized, V> Index<&Q> for Table<K, V> {
    type Output = V;

    /// # Panics
    /// Where there is no such key.
    fn index(&self, key: &Q) -> &V {
        self.get(key).expect("the key is in the table")
    }
}

impl<K: Hash + Eq, V: PartialEq> PartialEq for Table<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.iter().all(|(key, it)| other.get(key) == Some(it))
    }
}

impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for Table<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_copy_shares_what_has_not_been_touched() {
        let before: Table<u32, String> = (0..10_000).map(|n| (n, n.to_string())).collect();
        let mut after = before.clone();
        assert_eq!(after.apart_from(&before).count(), 0);
        after.insert(7, "seven".into());
        after.remove(&8);
        assert_eq!((before[&7].as_str(), before.len()), ("7", 10_000));
        assert_eq!((after[&7].as_str(), after.len()), ("seven", 9_999));
        let apart: Vec<_> = after.apart_from(&before).collect();
        assert!(apart.contains(&(&7, &"seven".to_owned())));
        assert!(apart.len() < 1_000, "{} of 10 000 have been copied", apart.len());
    }

    #[test]
    fn what_is_not_there_is_not_taken_out_and_copies_nothing() {
        let before: Table<u32, u32> = (0..100).map(|n| (n, n)).collect();
        let mut after = before.clone();
        assert_eq!(after.remove(&100), None);
        assert!(Arc::ptr_eq(&before.shards, &after.shards));
    }

    #[test]
    #[should_panic = "the key is in the table"]
    fn what_is_not_there_cannot_be_had() {
        drop(Table::<u32, String>::new()[&1].clone());
    }

    proptest! {
        /// It does what a map does, whatever is done to its copies meanwhile.
        #[test]
        fn it_is_a_map(steps in prop::collection::vec((any::<u8>(), any::<Option<u16>>()), 0..600)) {
            let (mut table, mut map) = (Table::new(), HashMap::new());
            let mut kept: Vec<(Table<u8, u16>, HashMap<u8, u16>)> = Vec::new();
            for (key, value) in steps {
                match value {
                    Some(value) => prop_assert_eq!(table.insert(key, value), map.insert(key, value)),
                    None => prop_assert_eq!(table.remove(&key), map.remove(&key)),
                }
                if key % 16 == 0 {
                    kept.push((table.clone(), map.clone()));
                }
            }
            kept.push((table, map));
            for (table, map) in kept {
                prop_assert_eq!(table.len(), map.len());
                prop_assert_eq!(table.is_empty(), map.is_empty());
                let found: HashMap<u8, u16> = table.iter().map(|(key, it)| (*key, *it)).collect();
                prop_assert_eq!(&found, &map);
                for key in 0..=u8::MAX {
                    prop_assert_eq!(table.get(&key), map.get(&key));
                }
                prop_assert!(table == map.into_iter().collect());
            }
        }

        /// What differs is among what is apart, in both directions.
        #[test]
        fn nothing_that_differs_is_missed(
            first in prop::collection::hash_map(any::<u8>(), 0..4_u8, 0..200),
            steps in prop::collection::vec((any::<u8>(), any::<Option<u8>>()), 0..200),
        ) {
            let before: Table<u8, u8> = first.into_iter().collect();
            let mut after = before.clone();
            for (key, value) in steps {
                match value {
                    Some(value) => after.insert(key, value),
                    None => after.remove(&key),
                };
            }
            for (one, other) in [(&before, &after), (&after, &before)] {
                let apart: Vec<u8> = one.apart_from(other).map(|it| *it.0).collect();
                for (key, value) in one.iter().filter(|(key, it)| other.get(*key) != Some(it)) {
                    prop_assert!(apart.contains(key), "{key} {value}");
                }
            }
        }
    }
}
