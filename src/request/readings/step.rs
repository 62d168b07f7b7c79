//! The form that every habit has.

use std::borrow::Cow;

/// One habit: the path it makes of another, if that is a different one.
pub(super) type Step = fn(&[u8]) -> Option<Cow<'_, [u8]>>;
