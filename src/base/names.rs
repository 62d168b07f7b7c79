//! The stable names of an enum, and the list of all its variants.
//!
//! One list makes both, and the compiler checks it: a variant that is missing from it
//! does not build.

macro_rules! names {
    ($of:ident { $($variant:ident = $name:literal,)+ }) => {
        impl $of {
            pub(crate) const ALL: &'static [Self] = &[$(Self::$variant),+];

            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            /// The variant of this name.
            pub(crate) fn named(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|variant| variant.as_str() == name)
            }
        }
    };
}

pub(crate) use names;
