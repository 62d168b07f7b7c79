//! The file that `init` writes, and what it says about it.

use std::fmt::Write as _;

use super::find::{Found, find};
use super::gallery;
use super::knowledge::{Knowledge, Rule};
use super::port;
use super::project::Project;
use super::routes::hand_written;

const LISTEN: &str = "127.0.0.1:8080";

/// A file in the making, and the report.
#[derive(Default)]
pub(super) struct Draft {
    pub(super) file: String,
    pub(super) guessed: Vec<String>,
    /// Files and variables that the app no longer needs.
    pub(super) delete: Vec<String>,
    /// Variables the file refers to, in its order.
    pub(super) variables: Vec<String>,
    pub(super) notes: Vec<String>,
    /// Paths of the tokens so far.
    paths: Vec<String>,
}

pub(super) fn draft(project: &Project) -> Draft {
    let knowledge = Knowledge::built_in();
    let framework = knowledge.frameworks.iter().find(|framework| framework.holds(project));
    let mut draft = Draft::default();
    let (name, usual) = framework.map_or(("the app", 3000), |f| (f.name.as_str(), f.port));
    let dev = framework.and_then(|it| it.dev);
    let dev = dev.map(|port| format!("; its dev server takes {port}")).unwrap_or_default();
    let (port, why) = match port::port(project) {
        Some(port) => (port, "the port this project sets".to_owned()),
        None => (usual, format!("the port {name} usually listens on{dev}")),
    };
    draft.file = format!(
        "# Written by `portcullis init` from what it found in this folder.\n\
         # Each `guess:` is worth a look; `portcullis check` says what does not hold.\n\n\
         [server]\nlisten = \"{LISTEN}\"\n\n\
         [upstream]\nservers = \"http://127.0.0.1:{port}\" # guess: {why}\n"
    );
    draft.guessed.push(format!("framework: {}", framework.map_or("no known one", |f| &f.name)));
    draft.guessed.push(format!("the app listens on port {port}: {why}"));
    draft.add_session(knowledge, project, port);
    let vendors: Vec<_> = knowledge.vendors.iter().filter(|it| it.holds(project)).collect();
    for vendor in &vendors {
        draft.add_token(vendor, project);
    }
    draft.add_presets(knowledge, &vendors, project);
    if !draft.file.contains("[token.") {
        draft.notes.push(
            "no vendor's SDK was recognised, so the file has no [token.NAME] yet; `portcullis \
             presets` lists the vendors"
                .to_owned(),
        );
    }
    draft
}

impl Draft {
    fn add_session(&mut self, knowledge: &Knowledge, project: &Project, port: u16) {
        let known = knowledge.sessions.iter().find(|rule| rule.holds(project));
        let rule = known.unwrap_or(&knowledge.unknown);
        let comment = match known {
            Some(rule) => format!("{} ({})", rule.name, rule.evidence(project)),
            None => rule.name.clone(),
        };
        let comment = match rule.guess.as_str() {
            "" => comment,
            guess => format!("{comment}; write {guess}"),
        };
        self.guessed.push(format!("session: {comment}"));
        let block = self.filled(rule, project).replace("{port}", &port.to_string());
        let _ = write!(self.file, "\n# guess: {comment}\n{block}");
        self.notes.extend(rule.say.iter().cloned());
    }

    fn add_token(&mut self, vendor: &Rule, project: &Project) {
        let made = hand_written(vendor, &self.paths, project);
        let found = made.as_ref().and_then(|made| made.path.clone());
        let usual = [vendor.path.clone(), format!("/{}-token", vendor.name)];
        let is_free = |path: &&String| !self.paths.contains(path);
        let free = || usual.iter().find(is_free).unwrap_or(&vendor.path).clone();
        let path = found.clone().unwrap_or_else(free);
        self.paths.push(path.clone());
        let evidence = vendor.evidence(project);
        let comment = match (&made, &found) {
            (Some(made), Some(_)) if made.is_sure => {
                format!("{evidence}, used in {}", made.file)
            }
            (Some(made), Some(_)) => format!(
                "{evidence}, used in {}; the prefix this router is mounted under was not found",
                made.file
            ),
            (Some(made), None) => format!("{evidence}; the path of {} was not found", made.file),
            (None, _) => format!("{evidence}; no route that makes the token was found"),
        };
        self.guessed.push(format!("token {}: {path} ({comment})", vendor.name));
        let before = self.variables.len();
        let block = self.filled(vendor, project);
        let _ = write!(
            self.file,
            "\n[token.{}] # guess: {comment}\npath = \"{path}\"\n{block}",
            vendor.name
        );
        if let Some(made) = made {
            let is_known = found.is_some() && made.is_sure;
            self.delete.push(match (is_known, made.is_all) {
                (true, true) => format!("{}: the gateway answers {path} now", made.file),
                (true, false) => {
                    format!("{}: only its route, the gateway answers {path} now", made.file)
                }
                (false, _) => format!(
                    "{}: only its route, when the gateway answers its path (the file has {path})",
                    made.file
                ),
            });
            for name in self.variables.iter().skip(before) {
                self.delete.push(format!("{name}, from the app's environment"));
            }
        }
        self.notes.extend(vendor.say.iter().cloned());
    }

    /// The blocks of vendors whose package is there, as comments: only the app's authors know
    /// which rooms, channels or files are a user's.
    fn add_presets(&mut self, knowledge: &Knowledge, written: &[&Rule], project: &Project) {
        for (preset, packages) in &knowledge.sdk {
            let found: Vec<_> = packages.iter().filter(|package| project.has(package)).collect();
            let is_written = |package: &&String| written.iter().any(|rule| rule.names(package));
            let Some(package) = found.first().filter(|_| !found.iter().any(is_written)) else {
                continue;
            };
            let evidence = project.named(package);
            let _ =
                write!(self.file, "\n# {evidence} is used here; with your names, its token is:\n");
            for line in gallery::block(preset).unwrap_or_default().lines() {
                let _ = writeln!(self.file, "{}", format!("# {line}").trim_end());
            }
            self.guessed.push(format!(
                "vendor {preset} ({evidence}): its [token.NAME] is in the file as a comment"
            ));
        }
    }

    /// The block of a rule with its placeholders filled, comments behind what was guessed.
    fn filled(&mut self, rule: &Rule, project: &Project) -> String {
        let mut block = rule.block.clone();
        for (name, wanted) in &rule.find {
            let found = find(wanted, project);
            block = block.lines().map(|line| found.put_into(line, name)).collect();
            if let Some(guess) = &found.guess {
                let text = found.texts.join(", ");
                self.guessed.push(format!("{}: \"{text}\"; look at {guess}", rule.name));
            }
        }
        for reference in block.split("\"env:").skip(1) {
            let name = reference.split('"').next().unwrap_or_default().to_owned();
            if !self.variables.contains(&name) {
                self.variables.push(name);
            }
        }
        block
    }
}

impl Found {
    /// The line with the placeholder filled: a list where the app has several secrets, and
    /// no line where the setting is best left out.
    fn put_into(&self, line: &str, name: &str) -> String {
        let placeholder = format!("{{{name}}}");
        if !line.contains(&placeholder) {
            return format!("{line}\n");
        }
        let guess = self.guess.as_ref();
        let filled = match self.texts.as_slice() {
            [] => return guess.map(|guess| format!("# guess: {guess}\n")).unwrap_or_default(),
            [text] => line.replace(&placeholder, text),
            several => {
                let one = format!("\"env:{placeholder}\"");
                let all: Vec<_> = several.iter().map(|name| format!("\"env:{name}\"")).collect();
                let all = all.join(", ");
                match line.strip_prefix("secret = ") {
                    Some(_) => format!("secrets = [{all}]"),
                    None => line.replace(&one, &all),
                }
            }
        };
        match guess {
            Some(guess) if !filled.contains(" # ") => format!("{filled} # guess: {guess}\n"),
            Some(_) | None => format!("{filled}\n"),
        }
    }
}
