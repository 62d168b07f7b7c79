//! The parts of an app's folder that say which libraries it uses: manifests, env files and
//! source files. Reading is bounded in every direction; nothing is written.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::source::mentions;

/// Most source files, and most bytes of one.
const MOST_FILES: usize = 4000;
const MOST_BYTES: u64 = 256 * 1024;
const DEEPEST: usize = 12;
/// Most folders of one folder that are looked into for apps.
const MOST_FOLDERS: usize = 100;
/// Folders of third-party code, or of build results.
const SKIPPED: [&str; 19] = [
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
];
/// Files of tools that manage several packages in one repository.
const WORKSPACES: [&str; 5] =
    ["pnpm-workspace.yaml", "turbo.json", "nx.json", "lerna.json", "rush.json"];
const SOURCES: [&str; 15] = [
    "js", "jsx", "ts", "tsx", "mjs", "cjs", "mts", "vue", "svelte", "py", "rb", "php", "ex", "exs",
    "go",
];
/// Files of variables; of two values for a name the first counts.
const ENV_FILES: [&str; 6] = [
    ".env.local",
    ".env.development.local",
    ".env",
    ".env.development",
    ".env.example",
    ".env.sample",
];

pub(super) struct Project {
    /// Packages as `npm:next`, with the version the manifest asks for.
    packages: BTreeMap<String, String>,
    variables: BTreeMap<String, String>,
    pub(super) env_file: Option<&'static str>,
    pub(super) files: Vec<Source>,
    manifests: String,
    /// Manifests that exist but cannot be read, with the reason.
    pub(super) unread: Vec<String>,
    /// Whether the manifest says that the apps are in separate folders.
    pub(super) has_workspaces: bool,
}

/// A source file; its path is relative to the folder, with `/`.
pub(super) struct Source {
    pub(super) path: String,
    pub(super) text: String,
}

impl Project {
    pub(super) fn read(folder: &Path) -> Self {
        let mut project = Self::manifests(folder);
        for name in ENV_FILES {
            let text = project.text(folder, name);
            project.read_env(name, &text);
        }
        collect(folder, folder, 0, &mut project.files);
        project.files.sort_by(|a, b| a.path.cmp(&b.path));
        project
    }

    /// The packages alone.
    pub(super) fn manifests(folder: &Path) -> Self {
        let mut project = Self {
            packages: BTreeMap::new(),
            variables: BTreeMap::new(),
            env_file: None,
            files: Vec::new(),
            manifests: String::new(),
            unread: Vec::new(),
            has_workspaces: WORKSPACES.iter().any(|name| folder.join(name).exists()),
        };
        let package = project.text(folder, "package.json");
        project.manifests = package.clone() + &project.text(folder, "Procfile");
        project.read_json("package.json", &package, "npm", &["dependencies", "devDependencies"]);
        let composer = project.text(folder, "composer.json");
        project.read_json("composer.json", &composer, "composer", &["require"]);
        for name in ["requirements.txt", "requirements/base.txt", "requirements/production.txt"] {
            let text = project.text(folder, name);
            project.read_requirements(&text);
        }
        let pyproject = project.text(folder, "pyproject.toml");
        project.read_pyproject(&pyproject);
        let (gems, hex) = (project.text(folder, "Gemfile"), project.text(folder, "mix.exs"));
        project.read_lines(&gems, "gem", "gem ");
        project.read_lines(&hex, "hex", "{:");
        project
    }

    /// A file's text; a file that exists but cannot be read is noted.
    fn text(&mut self, folder: &Path, name: &str) -> String {
        match std::fs::read_to_string(folder.join(name)) {
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

    /// The first number in the version that the manifest asks for.
    pub(super) fn major(&self, package: &str) -> Option<u32> {
        let version = self.packages.get(package)?;
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
        self.variables.get(name).map(String::as_str)
    }

    pub(super) fn has_variable(&self, line: &str) -> bool {
        line.split_once('=').is_some_and(|(name, value)| self.variable(name) == Some(value))
    }

    /// The port the app is told to listen on: in an env file, in a script, in its source.
    pub(super) fn port(&self) -> Option<u16> {
        let number = |text: &str| {
            let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
            text.get(..end)?.parse::<u16>().ok().filter(|port| *port > 0)
        };
        let after = |text: &str, marker: &str| {
            text.split(marker).skip(1).find_map(|rest| number(rest.trim_start_matches([' ', '='])))
        };
        let told = self.variable("PORT").and_then(number);
        let scripted =
            || ["--port", " -p ", "PORT="].iter().find_map(|m| after(&self.manifests, m));
        let written = || {
            let markers = [".listen(", "PORT ||", "PORT ??", "listen({ port:"];
            let files = self.files.iter();
            files
                .flat_map(|file| markers.iter().map(move |m| (file, m)))
                .find_map(|(file, m)| after(&file.text, m))
        };
        told.or_else(scripted).or_else(written)
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
        for line in text.lines().filter_map(|line| line.trim_start().strip_prefix(start)) {
            let mut words = line.split(['"', '\'', ',', ' ', '}']).filter(|word| !word.is_empty());
            let Some(name) = words.next() else { continue };
            let is_version = |word: &&str| word.starts_with(|c: char| c.is_ascii_digit());
            let version = words.find(is_version).unwrap_or_default();
            self.packages.insert(format!("{registry}:{name}"), version.to_owned());
        }
    }

    fn read_env(&mut self, file: &'static str, text: &str) {
        let is_example = file.contains("example") || file.contains("sample");
        if !text.is_empty() && !is_example && self.env_file.is_none() {
            self.env_file = Some(file);
        }
        for line in text.lines() {
            let line = line.trim();
            let line = line.strip_prefix("export ").unwrap_or(line);
            let Some((name, value)) = line.split_once('=') else { continue };
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
            if name.chars().all(is_name) {
                let value = value.split(" #").next().unwrap_or_default().trim();
                let value = value.trim_matches(['"', '\'']).to_owned();
                self.variables.entry(name.to_owned()).or_insert(value);
            }
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
        if !metadata.is_file()
            || !is_source
            || metadata.len() > MOST_BYTES
            || files.len() >= MOST_FILES
        {
            continue;
        }
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        let Ok(relative) = path.strip_prefix(root) else { continue };
        files.push(Source { path: relative.to_string_lossy().replace('\\', "/"), text });
    }
}
