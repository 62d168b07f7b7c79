//! `[session.store.fallback]`: a second store, asked for the sessions that the first does
//! not have.
//!
//! It takes the settings of the kind's own `[session.store]`, so the kind is compiled a
//! second time with this table in the store's place.

use super::format::{Compiled, SessionKind};
use super::pointer::Pointer;
use super::settings::Settings;
use super::source_user::read_user_id;

/// The reader of the second store.
#[derive(Clone)]
pub(super) struct Fallback {
    pub(super) compiled: Compiled,
    pub(super) user_id: Pointer,
}

impl Fallback {
    /// `Some(None)` if there is none; `None` means problems were noted.
    pub(super) fn from_settings(
        settings: &mut Settings<'_, '_>,
        kind: &SessionKind,
    ) -> Option<Option<Box<Self>>> {
        let Some(at) = settings.fallback_store() else { return Some(None) };
        settings.read_instead_of_store(Some(at));
        let compiled = (kind.read)(settings);
        let user_id = read_user_id(settings, compiled.as_ref());
        settings.read_instead_of_store(None);
        Some(Some(Box::new(Self { compiled: compiled?, user_id: user_id? })))
    }
}
