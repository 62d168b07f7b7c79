//! The parts of an app's folder that say which libraries it uses: manifests, env files and
//! source files. Reading is bounded in every direction; nothing is written.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::comments::without_comments;
use super::env::{self, EnvFiles};
use super::source::mentions;
use super::{text_file, version};

/// Most source files.
const MOST_FILES: usize = 4000;
const DEEPEST: usize = 12;
/// Most folders of one folder that are looked into for apps.
const MOST_FOLDERS: usize = 100;
/// Folders of third-party code, of build results, or of tests.
const SKIPPED: [&str; 25] = [
    "node_modules",
    "vendor",
    "target",
    "dist",
    "build",
    "deps",
    "_build",
    "venv",
    "env",
    "__pycache__",
    "site-packages",
    "coverage",
    "public",
    "static",
    "tmp",
    "log",
    "storage",
    "test",
    "tests",
    "__tests__",
    "__mocks__",
    "spec",
    "e2e",
    "cypress",
    "playwright",
];
/// Files of tools that manage several packages in one repository.
const WORKSPACES: [&str; 5] =
    ["pnpm-workspace.yaml", "turbo.json", "nx.json", "lerna.json", "rush.json"];
const SOURCES: [&str; 15] = [
    "js", "jsx", "ts", "tsx", "mjs", "cjs", "mts", "vue", "svelte", "py", "rb", "php", "ex", "exs",
    "go",
];

pub(super) struct Project {
    /// Packages as `npm:next`, with the version the manifest asks for.
    packages: BTreeMap<String, String>,
    pub(super) env: EnvFiles,
    pub(super) files: Vec<Source>,
    /// The manifest and the Procfile, for the commands in them.
    pub(super) scripts: String,
    /// Manifests that exist but cannot be read, with the reason.
    pub(super) unread: Vec<String>,
    /// Whether the manifest says that the apps are in separate folders.
    pub(super) has_workspaces: bool,
}

/// A source file without its comments; its path is relative to the folder, with `/`.
pub(super) struct Source {
    pub(super) path: String,
    pub(super) text: String,
}

impl Project {
    pub(super) fn read(folder: &Path) -> Self {
        let mut project = Self::manifests(folder);
        for name in env::NAMES {
            let text = project.text(folder, name);
            project.env.add(name, &text);
        }
        collect(folder, folder, 0, &mut project.files);
        project.files.sort_by(|a, b| a.path.cmp(&b.path));
        project
    }

    /// The packages alone.
    pub(super) fn manifests(folder: &Path) -> Self {
        let mut project = Self {
            packages: BTreeMap::new(),
            env: EnvFiles::default(),
            files: Vec::new(),
            scripts: String::new(),
            unread: Vec::new(),
            has_workspaces: WORKSPACES.iter().any(|name| folder.join(name).exists()),
        };
        let package = project.text(folder, "package.json");
        project.scripts = package.clone() + &project.text(folder, "Procfile");
        project.read_json("package.json", &package, "npm", &["dependencies", "devDependencies"]);
        for (package, version) in &mut project.packages {
            let name = package.trim_start_matches("npm:");
            *version = version::resolved(folder, name, version);
        }
        let composer = project.text(folder, "composer.json");
        project.read_json("composer.json", &composer, "composer", &["require"]);
        for name in ["requirements.txt", "requirements/base.txt", "requirements/production.txt"] {
            let text = project.text(folder, name);
            project.read_requirements(&text);
        }
        let pyproject = project.text(folder, "pyproject.toml");
        project.read_pyproject(&pyproject);
        let pipfile = project.text(folder, "Pipfile");
        project.read_pipfile(&pipfile);
        let (gems, hex) = (project.text(folder, "Gemfile"), project.text(folder, "mix.exs"));
        project.read_lines(&gems, "gem", "gem ");
        project.read_lines(&hex, "hex", "{:");
        project
    }

    /// A file's text; a file that exists but cannot be read is noted.
    fn text(&mut self, folder: &Path, name: &str) -> String {
        match text_file::read(&folder.join(name)) {
            Ok(text) => text,
            Err(error) => {
                let is_absent = [ErrorKind::NotFound, ErrorKind::NotADirectory];
                if !is_absent.contains(&error.kind()) {
                    self.unread.push(format!("{name}: {error}"));
                }
                String::new()
            }
        }
    }

    pub(super) fn has(&self, package: &str) -> bool {
        self.packages.contains_key(package)
    }

    /// The first number of the version; beyond every one for a tag such as `beta`.
    pub(super) fn major(&self, package: &str) -> Option<u32> {
        let version = self.packages.get(package)?;
        if version::is_ahead(version) {
            return Some(u32::MAX);
        }
        let digits = version.trim_start_matches(|c: char| !c.is_ascii_digit());
        let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
        digits.get(..end)?.parse().ok()
    }

    /// A package for people: its name, and the version if there is one.
    pub(super) fn named(&self, package: &str) -> String {
        let name = package.split_once(':').map_or(package, |(_, name)| name);
        let version = self.packages.get(package).map(String::as_str).unwrap_or_default();
        format!("{name} {version}").trim_end().to_owned()
    }

    pub(super) fn source_has(&self, text: &str) -> bool {
        self.files.iter().any(|file| mentions(&file.text, text))
    }

    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        self.env.value(name)
    }

    fn read_json(&mut self, file: &str, text: &str, registry: &str, tables: &[&str]) {
        if text.is_empty() {
            return;
        }
        let manifest = match serde_json::from_str::<Value>(text.trim_start_matches('\u{feff}')) {
            Ok(manifest) => manifest,
            Err(error) => return self.unread.push(format!("{file}: {error}")),
        };
        self.has_workspaces |= manifest.get("workspaces").is_some();
        let members = tables.iter().filter_map(|table| manifest.get(table)?.as_object()).flatten();
        for (name, version) in members {
            let version = version.as_str().unwrap_or_default().to_owned();
            self.packages.insert(format!("{registry}:{name}"), version);
        }
    }

    fn read_requirements(&mut self, text: &str) {
        for line in text.lines().filter(|line| !line.starts_with(['#', '-', ' '])) {
            self.add_python(line);
        }
    }

    fn read_pyproject(&mut self, text: &str) {
        let document: toml::Table = match toml::from_str(text) {
            Ok(document) => document,
            Err(error) => return self.unread.push(format!("pyproject.toml: {}", error.message())),
        };
        let project = document.get("project").and_then(|table| table.get("dependencies"));
        for line in project.and_then(toml::Value::as_array).into_iter().flatten() {
            self.add_python(line.as_str().unwrap_or_default());
        }
        let poetry = document.get("tool").and_then(|tool| tool.get("poetry")?.get("dependencies"));
        for (name, version) in poetry.and_then(toml::Value::as_table).into_iter().flatten() {
            let version = version.as_str().unwrap_or_default();
            self.add_python(&format!("{name}=={version}"));
        }
    }

    fn read_pipfile(&mut self, text: &str) {
        let document: toml::Table = match toml::from_str(text) {
            Ok(document) => document,
            Err(error) => return self.unread.push(format!("Pipfile: {}", error.message())),
        };
        let packages = document.get("packages").and_then(toml::Value::as_table);
        for (name, version) in packages.into_iter().flatten() {
            self.add_python(&format!("{name}{}", version.as_str().unwrap_or_default()));
        }
    }

    /// A requirement such as `Django[bcrypt]>=5.0 ; python_version > "3"`.
    fn add_python(&mut self, line: &str) {
        let end = line.find(|c: char| !(c.is_ascii_alphanumeric() || "._-".contains(c)));
        let (name, rest) = line.split_at_checked(end.unwrap_or(line.len())).unwrap_or((line, ""));
        let name = name.to_lowercase().replace(['_', '.'], "-");
        let version = rest.split(';').next().unwrap_or_default();
        let version = version.split_once(']').map_or(version, |(_, version)| version).trim();
        if !name.is_empty() {
            self.packages.insert(format!("pip:{name}"), version.to_owned());
        }
    }

    /// `gem "rails", "~> 8.0"` and `{:phoenix, "~> 1.7"}`.
    fn read_lines(&mut self, text: &str, registry: &str, start: &str) {
        for line in text
            .lines()
            .filter_map(|line| line.trim_start_matches([' ', '\t', '[']).strip_prefix(start))
        {
            let mut words = line.split(['"', '\'', ',', ' ', '}']).filter(|word| !word.is_empty());
            let Some(name) = words.next() else { continue };
            let is_version = |word: &&str| word.starts_with(|c: char| c.is_ascii_digit());
            let version = words.find(is_version).unwrap_or_default();
            self.packages.insert(format!("{registry}:{name}"), version.to_owned());
        }
    }
}

/// Folders at most two levels down that have their own packages.
pub(super) fn apps_below(folder: &Path) -> Vec<(PathBuf, Project)> {
    let inner = |folder: &Path| {
        let entries = std::fs::read_dir(folder).into_iter().flatten();
        let mut paths: Vec<PathBuf> = entries.filter_map(|it| Some(it.ok()?.path())).collect();
        let is_app = |path: &PathBuf| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            !name.starts_with('.')
                && !SKIPPED.contains(&name)
                && !path.is_symlink()
                && path.is_dir()
        };
        paths.retain(is_app);
        paths.sort();
        paths.truncate(MOST_FOLDERS);
        paths
    };
    let folders = inner(folder).into_iter().flat_map(|path| {
        let below = inner(&path);
        [path].into_iter().chain(below)
    });
    let read = |path: PathBuf| {
        let project = Project::manifests(&path);
        (!project.packages.is_empty()).then_some((path, project))
    };
    folders.filter_map(read).collect()
}

/// Tests, stories and declarations call the libraries too, and serve nothing.
fn is_test(name: &str) -> bool {
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let inner = stem.rsplit_once('.').map(|(_, inner)| inner);
    inner.is_some_and(|it| ["test", "spec", "stories", "cy", "d"].contains(&it))
        || ["_test", "_spec"].iter().any(|end| stem.ends_with(end))
        || stem.starts_with("test_")
        || stem == "conftest"
}

fn collect(root: &Path, folder: &Path, depth: usize, files: &mut Vec<Source>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    for path in paths {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let Ok(metadata) = std::fs::symlink_metadata(&path) else { continue };
        if metadata.is_dir()
            && depth < DEEPEST
            && !name.starts_with('.')
            && !SKIPPED.contains(&name)
        {
            collect(root, &path, depth + 1, files);
        }
        let extension = path.extension().and_then(|extension| extension.to_str());
        let is_source = extension.is_some_and(|extension| SOURCES.contains(&extension));
        if !metadata.is_file() || !is_source || is_test(name) || files.len() >= MOST_FILES {
            continue;
        }
        let Ok(text) = text_file::read(&path) else { continue };
        let Ok(relative) = path.strip_prefix(root) else { continue };
        let text = without_comments(&text, extension.unwrap_or_default());
        files.push(Source { path: relative.to_string_lossy().replace('\\', "/"), text });
    }
}
