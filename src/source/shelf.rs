//! Results that the watchers of a chunk share: computed by the first that needs one, taken by the others.
//!
//! A shelf belongs to a chunk and is dropped with it, so the watchers' inboxes bound its memory.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// Things shared by the watchers of a chunk.
#[derive(Default)]
pub struct Shelf {
    things: Mutex<Vec<Arc<dyn Any + Send + Sync>>>,
}

impl Shelf {
    /// The thing of this kind that `is` the right one; if there is none, the one that `make` makes.
    pub fn find<T: Any + Send + Sync>(
        &self,
        is: impl Fn(&T) -> bool,
        make: impl FnOnce() -> T,
    ) -> Arc<T> {
        let mut things = self.things.lock().unwrap_or_else(PoisonError::into_inner);
        let of_kind = |thing: &Arc<dyn Any + Send + Sync>| thing.clone().downcast::<T>().ok();
        if let Some(found) = things.iter().filter_map(of_kind).find(|thing| is(thing)) {
            return found;
        }
        let made = Arc::new(make());
        things.push(made.clone());
        made
    }
}

impl fmt::Debug for Shelf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shelf").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_makes_it_for_all() {
        let shelf = Shelf::default();
        let two = shelf.find(|n: &u8| *n == 2, || 2);
        shelf.find(|word: &String| word == "two", || "two".to_owned());
        assert!(Arc::ptr_eq(&two, &shelf.find(|n: &u8| *n == 2, || 0)));
        assert_eq!(*shelf.find(|n: &u8| *n == 3, || 3), 3);
    }
}
