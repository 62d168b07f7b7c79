//! The app's env files, read as `--env-file` reads them, so what `init` says about a
//! variable holds for the command that it names.

use crate::base::env_file::{BadLine, Variables, parse};

/// Files of variables; of two values for a name the first counts, as in Next.js and Vite.
pub(super) const NAMES: [&str; 10] = [
    ".env.local",
    ".env.development.local",
    ".env",
    ".env.development",
    ".env.production.local",
    ".env.production",
    ".flaskenv",
    ".envrc",
    ".env.example",
    ".env.sample",
];

/// The env files that are there and hold something, in the order in which they count.
#[derive(Default)]
pub(super) struct EnvFiles(Vec<EnvFile>);

struct EnvFile {
    name: &'static str,
    variables: Variables,
    /// The line because of which `--env-file` refuses the file.
    bad_line: Option<usize>,
}

/// The source of a variable that the gateway needs.
pub(super) enum Origin {
    /// `--env-file` with this file gives it.
    File(&'static str),
    /// The file has it, but is a shell script or has a line that assigns nothing.
    Unreadable(&'static str, usize),
    /// An example file: its values are placeholders.
    Example(&'static str),
    Nowhere,
}

impl EnvFiles {
    /// Adds a file behind those that count before it.
    pub(super) fn add(&mut self, name: &'static str, text: &str) {
        if text.trim().is_empty() {
            return;
        }
        let (variables, bad_line) = match parse(text) {
            Ok(variables) => (variables, None),
            Err(BadLine(line)) => (good_lines(text), Some(line)),
        };
        self.0.push(EnvFile { name, variables, bad_line });
    }

    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.0.iter().find_map(|file| file.variables.value(name))
    }

    pub(super) fn origin(&self, name: &str) -> Origin {
        let holds = |file: &&EnvFile| file.variables.value(name).is_some_and(|it| !it.is_empty());
        match self.0.iter().find(holds) {
            None => Origin::Nowhere,
            Some(file) if file.is_example() => Origin::Example(file.name),
            Some(EnvFile { name, bad_line: Some(line), .. }) => Origin::Unreadable(name, *line),
            Some(file) => Origin::File(file.name),
        }
    }

    /// The files to name with `--env-file`, so that each of `variables` that an env file
    /// has is there with the value that counts: a later file wins over an earlier one.
    /// Where none has any, the first file that can be named.
    pub(super) fn named_for(&self, variables: &[String]) -> Vec<&'static str> {
        let origins: Vec<_> = variables.iter().map(|name| self.origin(name)).collect();
        let gives = |wanted: &str| {
            origins.iter().any(|it| matches!(it, Origin::File(name) if *name == wanted))
        };
        let usable = self.0.iter().filter(|file| file.bad_line.is_none() && !file.is_example());
        let usable: Vec<_> = usable.map(|file| file.name).collect();
        let needed: Vec<_> = usable.iter().rev().copied().filter(|name| gives(name)).collect();
        if needed.is_empty() { usable.into_iter().take(1).collect() } else { needed }
    }
}

impl EnvFile {
    fn is_example(&self) -> bool {
        [".env.example", ".env.sample"].contains(&self.name)
    }
}

/// The assignments of a file in which other lines stand as well.
fn good_lines(text: &str) -> Variables {
    let mut variables = Variables::default();
    text.lines().filter_map(|line| parse(line).ok()).for_each(|it| variables.extend(it));
    variables
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(of: &[(&'static str, &str)]) -> EnvFiles {
        let mut files = EnvFiles::default();
        of.iter().for_each(|(name, text)| files.add(name, text));
        files
    }

    #[test]
    fn each_file_that_gives_a_variable_is_named_and_the_one_that_counts_last() {
        let files = files(&[
            (".env.local", "KEY=local\n"),
            (".env", "KEY=base\nSECRET=s\n"),
            (".env.development", "OTHER=o\n"),
            (".envrc", "source_up\nexport SHELL_KEY=x\n"),
            (".env.example", "EXAMPLE=x\n"),
        ]);
        let named = |names: &[&str]| {
            files.named_for(&names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(named(&["KEY", "SECRET"]), [".env", ".env.local"]);
        assert_eq!(named(&["SECRET"]), [".env"]);
        assert_eq!(named(&["OTHER", "KEY"]), [".env.development", ".env.local"]);
        assert_eq!(named(&["EXAMPLE", "SHELL_KEY"]), [".env.local"], "it gives neither");
        assert_eq!(files.value("KEY"), Some("local"));
        assert!(matches!(files.origin("SHELL_KEY"), Origin::Unreadable(".envrc", 1)));
        assert!(matches!(files.origin("EXAMPLE"), Origin::Example(".env.example")));
        assert!(matches!(files.origin("NONE"), Origin::Nowhere));
    }

    #[test]
    fn a_variable_is_read_in_every_form_in_which_the_gateway_reads_it() {
        for text in [" KEY = \"it\"\n", "export KEY=it\r\n", "KEY: it", "KEY='it' # why\n"] {
            assert_eq!(files(&[(".env", text)]).value("KEY"), Some("it"), "{text}");
        }
    }
}
