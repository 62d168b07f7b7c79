//! The commands that `init` names: each runs as printed, from the reader's current folder.

use std::path::{Path, PathBuf};

use super::knowledge::Knowledge;
use super::project::{Project, apps_below};
use crate::config::Sources;

/// A path below the app's folder, relative to the current one.
pub(super) fn from_here(folder: &Path, path: &Path) -> PathBuf {
    if folder == Path::new(".") { path.to_owned() } else { folder.join(path) }
}

/// `portcullis check` on the file that was written.
pub(super) fn check(
    folder: &Path,
    sources: &Sources,
    project: &Project,
    variables: &[String],
) -> String {
    let file = from_here(folder, &sources.path);
    let mut command = "portcullis check".to_owned();
    if file != Path::new("gateway.toml") {
        command += &format!(" --config {}", quoted(&file));
    }
    for env_file in project.env.named_for(variables) {
        command += &format!(" --env-file {}", quoted(&from_here(folder, Path::new(env_file))));
    }
    command
}

/// `portcullis init` for each app in a separate folder, where this folder is not an app.
pub(super) fn apps(folder: &Path, project: &Project) -> Vec<String> {
    let frameworks = &Knowledge::built_in().frameworks;
    let framework = |project: &Project| frameworks.iter().find(|it| it.holds(project));
    if framework(project).is_some() && !project.has_workspaces {
        return Vec::new();
    }
    let command = |(path, app): (PathBuf, Project)| {
        let name = &framework(&app)?.name;
        let path =
            if folder == Path::new(".") { path.strip_prefix(".").ok()? } else { path.as_path() };
        Some(format!("portcullis init {} # {name}", quoted(path)))
    };
    apps_below(folder).into_iter().filter_map(command).collect()
}

/// A path as a shell takes it for one word.
fn quoted(path: &Path) -> String {
    let text = path.to_string_lossy();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/-_.,+=@:%".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.into_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}
