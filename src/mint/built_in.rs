//! The text of the built-in presets, below everything that reads them.

/// The language of presets, then the presets by mechanism.
pub(super) const BUILT_IN: &str = concat!(
    include_str!("presets/head.toml"),
    include_str!("presets/jwt.toml"),
    include_str!("presets/hmac.toml"),
    include_str!("presets/exchange.toml"),
    include_str!("presets/formats.toml"),
);

/// Whether a preset is built in: then its vendor generates the keys.
pub(super) fn is_built_in(name: &str) -> bool {
    let is_head =
        |line: &str| line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) == Some(name);
    BUILT_IN.lines().any(is_head)
}
