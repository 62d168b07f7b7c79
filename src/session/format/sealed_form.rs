//! Seals without a password's id, by what is in them: h3 and yar put an object of their own
//! around the session, and other apps seal the session as it is.
//!
//! All three look the same until they are opened; here each kind learns which one should
//! read what it has opened.

use serde_json::Value;

use crate::session::codec::claims;
use crate::session::rejected::Rejected;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum SealedForm {
    H3,
    /// An object of the app's own.
    Plain,
    Yar,
    /// Only an id: of a large session of yar, or the app's own object.
    YarOrPlain,
}

impl SealedForm {
    pub(super) fn of(whole: &Value) -> Self {
        let has = |member: &str| whole.get(member).is_some();
        let has_id = claims::text(whole, "id").is_some();
        let is_alone = whole.as_object().is_some_and(|members| members.len() == 1);
        match has_id {
            true if has("createdAt") && has("data") => Self::H3,
            true if has("_store") => Self::Yar,
            true if is_alone => Self::YarOrPlain,
            true | false => Self::Plain,
        }
    }

    /// The refusal by a kind that does not read this form.
    pub(super) fn refusal(self) -> Rejected {
        Rejected::malformed(match self {
            Self::H3 => "the seal is that of an h3 session: write kind = \"h3-session\"",
            Self::Plain => {
                "the seal holds an object of the app's own: write kind = \"iron-session\""
            }
            Self::Yar => "the seal is that of a yar session: write kind = \"yar\"",
            Self::YarOrPlain => {
                "the seal holds only an `id`: write kind = \"yar\" if the app uses yar, else kind = \
                 \"iron-session\""
            }
        })
    }
}
