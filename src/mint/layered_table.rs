//! The settings of one token: its own table over its preset.
//!
//! A token's table can override every member of its preset, so readers ask here and
//! need not know which of the two has the value.

use crate::document::{At, FromNode, Table};

/// A table over its preset, being read.
pub(super) struct LayeredTable<'t, 'a: 'p, 'p> {
    own: &'t mut Table<'a>,
    preset: Option<Table<'p>>,
    known: &'static [&'static str],
}

impl<'t, 'a: 'p, 'p> LayeredTable<'t, 'a, 'p> {
    /// `known` are the members that readers declare; none may ask for another one.
    pub(super) fn new(
        own: &'t mut Table<'a>,
        preset: Option<Table<'p>>,
        known: &'static [&'static str],
    ) -> Self {
        Self { own, preset, known }
    }

    /// The token's own table, where problems without a better place are noted.
    pub(super) fn token(&self) -> &At<'a> {
        self.own.at()
    }

    /// The token's value, else the preset's.
    pub(super) fn take(&mut self, key: &'static str) -> Option<At<'p>> {
        let inherited = self.inherited(key);
        self.own.take(key).or(inherited)
    }

    pub(super) fn get<T: FromNode>(&mut self, key: &'static str) -> Option<T> {
        self.take(key)?.read()
    }

    /// The token's value alone, for members a preset may not have.
    pub(super) fn own(&mut self, key: &'static str) -> Option<At<'a>> {
        self.check_declared(key);
        self.own.take(key)
    }

    /// The preset's value alone, where the two are combined.
    pub(super) fn inherited(&mut self, key: &'static str) -> Option<At<'p>> {
        self.check_declared(key);
        self.preset.as_mut().and_then(|preset| preset.take(key))
    }

    /// The value under `key`, or a problem that says what to write.
    pub(super) fn need(&mut self, key: &'static str, hint: &str) -> Option<At<'p>> {
        let taken = self.take(key);
        if taken.is_none() {
            self.token().problem(format!("`{key}` is missing; write {hint}"));
        }
        taken
    }

    /// A reader that forgets to declare a member fails the first test that reads it.
    fn check_declared(&self, key: &str) {
        debug_assert!(self.known.contains(&key), "undeclared: `{key}`");
    }

    /// Counts every known member as asked for: after a problem, members that were not
    /// reached must not be reported as unknown.
    pub(super) fn give_up(&mut self) {
        for key in self.known {
            self.take(key);
        }
    }

    /// Reports members of the preset that no reader asked for.
    pub(super) fn finish(self) {
        if let Some(preset) = self.preset {
            preset.finish();
        }
    }
}
