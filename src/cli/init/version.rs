//! The version of a package whose manifest asks for a tag, a catalog or a workspace.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::text_file;

/// Most folders up to a workspace's root.
const HIGHEST: usize = 3;

/// The version itself if it is one; else what is installed, or what pnpm's catalog names.
pub(super) fn resolved(folder: &Path, name: &str, asked: &str) -> String {
    if asked.contains(|c: char| c.is_ascii_digit()) {
        return asked.to_owned();
    }
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let folders = || folder.ancestors().take(HIGHEST + 1).map(Path::to_owned);
    let installed = folders().find_map(|at: PathBuf| {
        let manifest = at.join("node_modules").join(name).join("package.json");
        let manifest: Value = serde_json::from_str(&text_file::read(&manifest).ok()?).ok()?;
        Some(manifest.get("version")?.as_str()?.to_owned())
    });
    let in_catalog = || {
        let text =
            folders().find_map(|at| text_file::read(&at.join("pnpm-workspace.yaml")).ok())?;
        catalogued(&text, name)
    };
    installed.or_else(in_catalog).unwrap_or_else(|| asked.to_owned())
}

/// `next-auth: ^4.24.0` in pnpm's file, with or without quotes.
fn catalogued(text: &str, name: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let (key, value) = line.trim().split_once(": ")?;
        let bare = |text: &str| text.trim().trim_matches(['"', '\'']).to_owned();
        (bare(key) == name).then(|| bare(value))
    })
}

/// Whether a tag stands for what comes after the latest version.
pub(super) fn is_ahead(version: &str) -> bool {
    ["beta", "next", "canary", "rc", "alpha", "experimental"].contains(&version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_catalog_names_the_version() {
        let text = "packages:\n  - apps/*\ncatalog:\n  next-auth: ^4.24.0\n  '@a/b': \"5.0.0\"\n";
        assert_eq!(catalogued(text, "next-auth").as_deref(), Some("^4.24.0"));
        assert_eq!(catalogued(text, "@a/b").as_deref(), Some("5.0.0"));
        assert_eq!(catalogued(text, "auth"), None);
    }
}
