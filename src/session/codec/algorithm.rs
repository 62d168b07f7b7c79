//! The algorithms that sign tokens (RFC 7518 section 3, RFC 8037).

use jsonwebtoken::Algorithm as Library;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Algorithm {
    EdDSA,
    ES256,
    ES384,
    ES512,
    HS256,
    HS384,
    HS512,
    PS256,
    PS384,
    PS512,
    RS256,
    RS384,
    RS512,
}

impl Algorithm {
    /// For messages.
    pub(crate) const NAMES: &str = "HS256, HS384, HS512, RS256, RS384, RS512, PS256, PS384, \
                                    PS512, ES256, ES384, ES512 or EdDSA";

    /// Names are compared exactly: `none` has many spellings. RFC 9864
    /// calls EdDSA by the name of its curve.
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "ES512" => Some(Self::ES512),
            "Ed25519" => Some(Self::EdDSA),
            _ => Self::of_library(name.parse().ok()?),
        }
    }

    /// Whether the key that verifies is the one that signs.
    pub(crate) const fn is_symmetric(self) -> bool {
        matches!(self, Self::HS256 | Self::HS384 | Self::HS512)
    }

    /// `None` for one that a later version of `jsonwebtoken` may add.
    fn of_library(algorithm: Library) -> Option<Self> {
        Some(match algorithm {
            Library::EdDSA => Self::EdDSA,
            Library::ES256 => Self::ES256,
            Library::ES384 => Self::ES384,
            Library::HS256 => Self::HS256,
            Library::HS384 => Self::HS384,
            Library::HS512 => Self::HS512,
            Library::PS256 => Self::PS256,
            Library::PS384 => Self::PS384,
            Library::PS512 => Self::PS512,
            Library::RS256 => Self::RS256,
            Library::RS384 => Self::RS384,
            Library::RS512 => Self::RS512,
            _ => return None,
        })
    }

    /// The same in `jsonwebtoken`, which has no ES512.
    pub(crate) const fn library(self) -> Option<Library> {
        Some(match self {
            Self::EdDSA => Library::EdDSA,
            Self::ES256 => Library::ES256,
            Self::ES384 => Library::ES384,
            Self::ES512 => return None,
            Self::HS256 => Library::HS256,
            Self::HS384 => Library::HS384,
            Self::HS512 => Library::HS512,
            Self::PS256 => Library::PS256,
            Self::PS384 => Library::PS384,
            Self::PS512 => Library::PS512,
            Self::RS256 => Library::RS256,
            Self::RS384 => Library::RS384,
            Self::RS512 => Library::RS512,
        })
    }
}
