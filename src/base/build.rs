//! The build this program came from; `deploy/build/version.rs` writes it down.

use std::sync::LazyLock;

pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Short name of the commit, with `+` where files differed from it; empty where the build
/// could not know.
pub(crate) const COMMIT: &str = env!("PORTCULLIS_BUILD_COMMIT");
/// Cargo features, by blanks.
pub(crate) const FEATURES: &str = env!("PORTCULLIS_BUILD_FEATURES");
const TARGET: &str = env!("PORTCULLIS_BUILD_TARGET");
const PROFILE: &str = env!("PORTCULLIS_BUILD_PROFILE");

/// `portcullis --version`, after the name: version, commit, and what decides how the
/// program behaves.
pub(crate) fn long_version() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| {
        format!(
            "{VERSION}\ncommit: {}\nfeatures: {}\nbuild: {PROFILE}, {TARGET}",
            if COMMIT.is_empty() { "unknown" } else { COMMIT },
            if FEATURES.is_empty() { "none" } else { FEATURES },
        )
    });
    &TEXT
}
