//! A mutex that outlives a panic.
//!
//! The framework catches a panic in a request and serves the next one. What these
//! locks guard is sound between any two statements, so a lock that was held during
//! a panic stays usable instead of failing every request after it.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// A mutex without poisoning.
#[derive(Debug, Default)]
pub struct Lock<T>(Mutex<T>);

impl<T> Lock<T> {
    pub const fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }

    /// Waits for the lock; never hold it across an `await`.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_lock_held_during_a_panic_can_be_taken_again() {
        let lock = Arc::new(Lock::new(1));
        let holder = lock.clone();
        let panicked = std::thread::spawn(move || {
            let _held = holder.lock();
            panic!("while holding the lock");
        });
        assert!(panicked.join().is_err());
        assert_eq!(*lock.lock(), 1);
    }
}
