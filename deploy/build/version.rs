//! The build script: tells the program which commit, features and target it is built from.
//!
//! The commit is `PORTCULLIS_COMMIT` where that is set, as a package or an image built
//! without the repository should do. Otherwise a release build asks git, and a build
//! without git goes on without a commit. A debug build never asks: each commit would
//! compile the crate again.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "cargo speaks with build scripts through both"
)]

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=deploy/build/version.rs");
    println!("cargo:rerun-if-env-changed=PORTCULLIS_COMMIT");
    let given = env::var("PORTCULLIS_COMMIT").ok().filter(|commit| !commit.is_empty());
    let is_release = env::var("PROFILE").is_ok_and(|profile| profile == "release");
    let asked = || if is_release { commit() } else { None };
    let commit = given.or_else(asked).unwrap_or_default();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "+.-".contains(c);
    let commit: String = commit.chars().filter(|c| is_plain(*c)).take(64).collect();
    println!("cargo:rustc-env=PORTCULLIS_BUILD_COMMIT={commit}");
    println!("cargo:rustc-env=PORTCULLIS_BUILD_FEATURES={}", features().join(" "));
    for (name, variable) in [("TARGET", "TARGET"), ("PROFILE", "PROFILE")] {
        let value = env::var(variable).unwrap_or_default();
        println!("cargo:rustc-env=PORTCULLIS_BUILD_{name}={value}");
    }
}

/// The short name of the commit, `+` behind it if files differ from it.
fn commit() -> Option<String> {
    let head = PathBuf::from(git(&["rev-parse", "--absolute-git-dir"])?).join("logs/HEAD");
    if Path::new(&head).exists() {
        println!("cargo:rerun-if-changed={}", head.display());
    }
    let commit = git(&["rev-parse", "--short=10", "HEAD"])?;
    let changed = git(&["status", "--porcelain", "--untracked-files=no"])?;
    Some(if changed.is_empty() { commit } else { format!("{commit}+") })
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

/// Cargo features of this build, as `Cargo.toml` writes them.
fn features() -> Vec<String> {
    let name = |(variable, _): (String, String)| {
        let name = variable.strip_prefix("CARGO_FEATURE_")?.to_lowercase().replace('_', "-");
        (name != "default").then_some(name)
    };
    let mut features: Vec<_> = env::vars().filter_map(name).collect();
    features.sort();
    features
}
