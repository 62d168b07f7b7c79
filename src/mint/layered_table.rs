//! The settings of one token: its own table over its preset.
//!
//! Every member of a preset can be overridden in the token's table, so readers
//! ask here and need not know where a value stands.

use crate::document::{At, FromNode, Table};

pub(super) struct Members<'t, 'a: 'p, 'p> {
    own: &'t mut Table<'a>,
    preset: Option<Table<'p>>,
}

impl<'t, 'a: 'p, 'p> Members<'t, 'a, 'p> {
    pub(super) fn new(own: &'t mut Table<'a>, preset: Option<Table<'p>>) -> Self {
        Self { own, preset }
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

    /// The token's value alone, for what no preset may say.
    pub(super) fn own(&mut self, key: &'static str) -> Option<At<'a>> {
        self.own.take(key)
    }

    /// The preset's value alone, where the two are combined.
    pub(super) fn inherited(&mut self, key: &'static str) -> Option<At<'p>> {
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

    /// Reports what the preset says that nobody asked for.
    pub(super) fn finish(self) {
        if let Some(preset) = self.preset {
            preset.finish();
        }
    }
}
