//! Interns equal values (regexes, date patterns) while they are in use anywhere in the process, by their source
//! text.
//!
//! Many jails have the same ones. The table itself keeps nothing alive.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// Texts are the administrator's own: a hash that nobody attacks will do.
type Table<V> = HashMap<Box<str>, Weak<V>, foldhash::fast::RandomState>;

/// The things made of texts; what else decides about them is their kind.
#[derive(Debug)]
pub struct Interned<K, V> {
    state: Mutex<InternedTables<K, V>>,
}

#[derive(Debug)]
struct InternedTables<K, V> {
    tables: HashMap<K, Table<V>>,
    count: usize,
    /// Number of entries at which those out of use are swept out.
    sweep_at: usize,
}

impl<K, V> Default for Interned<K, V> {
    fn default() -> Interned<K, V> {
        Interned {
            state: Mutex::new(InternedTables {
                tables: HashMap::new(),
                count: 0,
                sweep_at: 0,
            }),
        }
    }
}

impl<K: Copy + Eq + Hash, V> Interned<K, V> {
    /// The thing made of this text, made now unless it is in use somewhere.
    ///
    /// # Errors
    /// Those of `make`.
    pub fn get<E>(
        &self,
        kind: K,
        text: &str,
        make: impl FnOnce() -> Result<V, E>,
    ) -> Result<Arc<V>, E> {
        let lock = || self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let known = |state: &InternedTables<K, V>| state.tables.get(&kind)?.get(text)?.upgrade();
        if let Some(known) = known(&lock()) {
            return Ok(known);
        }
        // without the lock: others need not wait, and what is made may be made of the like
        let made = Arc::new(make()?);
        lock().insert(kind, text, &made);
        Ok(made)
    }
}

impl<K: Eq + Hash, V> InternedTables<K, V> {
    fn insert(&mut self, kind: K, text: &str, made: &Arc<V>) {
        if self.count >= self.sweep_at {
            self.count = 0;
            for table in self.tables.values_mut() {
                table.retain(|_, thing| thing.strong_count() > 0);
                self.count += table.len();
            }
            self.sweep_at = 64 + 2 * self.count;
        }
        let table = self.tables.entry(kind).or_default();
        table.insert(text.into(), Arc::downgrade(made));
        self.count += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_things_are_one_while_in_use() {
        let things = Interned::default();
        let get = |kind: u8, text: &str| things.get(kind, text, || Ok::<_, ()>(text.to_owned()));
        let first = get(1, "a").unwrap();
        assert!(Arc::ptr_eq(&first, &get(1, "a").unwrap()));
        assert!(!Arc::ptr_eq(&first, &get(2, "a").unwrap()));
        assert!(!Arc::ptr_eq(&first, &get(1, "b").unwrap()));
        assert_eq!(things.get(1, "c", || Err("no")), Err("no"));
        for number in 0..1000 {
            get(1, &number.to_string()).unwrap();
        }
        let state = things.state.lock().unwrap();
        let left: usize = state.tables.values().map(HashMap::len).sum();
        assert!(left <= 66, "{left}");
    }
}
