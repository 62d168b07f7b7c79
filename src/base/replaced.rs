//! Replaced values, kept until they have no other user.
//!
//! Dropping a policy of a thousand routes takes milliseconds, and its last user, a thread
//! that serves, would do it. So a replaced policy stays here until it has no other user.

use std::sync::Arc;

use super::lock::Lock;

/// Replaced values that may still be in use.
pub(crate) struct Replaced<T>(Lock<Vec<Arc<T>>>);

impl<T> Default for Replaced<T> {
    fn default() -> Self {
        Self(Lock::new(Vec::new()))
    }
}

impl<T> Replaced<T> {
    pub(crate) fn keep(&self, value: Arc<T>) {
        self.0.lock().push(value);
    }

    /// Drops what has no other user, which may take a while; says whether something is
    /// left.
    pub(crate) fn drop_unused(&self) -> bool {
        let mut kept = self.0.lock();
        let unused: Vec<_> = kept.extract_if(.., |value| Arc::strong_count(value) == 1).collect();
        let is_left = !kept.is_empty();
        drop(kept);
        drop(unused);
        is_left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_dropped_once_it_has_no_user() {
        let replaced = Replaced::default();
        let (used, unused) = (Arc::new(1), Arc::new(2));
        let [is_used, is_unused] = [&used, &unused].map(Arc::downgrade);
        replaced.keep(used.clone());
        replaced.keep(unused);
        assert!(replaced.drop_unused());
        assert!(is_unused.upgrade().is_none());
        drop(used);
        assert!(is_used.upgrade().is_some(), "its last user does not drop it");
        assert!(!replaced.drop_unused());
        assert!(is_used.upgrade().is_none());
    }
}
