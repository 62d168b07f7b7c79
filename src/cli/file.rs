//! The configuration file as commands need it: its text, and problems printed
//! with their places.

use std::path::PathBuf;
use std::process::ExitCode;

use super::output::{CONFIGURATION, eprint};
use crate::base::secret::Secrets;
use crate::config::Sources;
use crate::document::Problem;

/// A file that could be read, and where its references are looked up.
pub(super) struct File {
    pub(super) path: PathBuf,
    pub(super) text: String,
    pub(super) secrets: Secrets,
}

impl File {
    /// Reads the file, or says why it cannot be.
    pub(super) fn read(sources: &Sources) -> Result<Self, ExitCode> {
        let path = &sources.path;
        let failed = |why: &str| {
            eprint(format_args!("{}: {why}", path.display()));
            ExitCode::from(CONFIGURATION)
        };
        let bytes = std::fs::read(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => {
                failed("this file does not exist; name another with --config")
            }
            _ => failed(&format!("cannot be read: {error}")),
        })?;
        let text = String::from_utf8(bytes).map_err(|_| failed("is not UTF-8 text"))?;
        let (secrets, problems) = sources.secrets();
        if !problems.is_empty() {
            problems.iter().for_each(eprint);
            return Err(ExitCode::from(CONFIGURATION));
        }
        Ok(Self { path: path.clone(), text, secrets })
    }

    /// Prints problems the way compilers do, and returns the exit code.
    pub(super) fn refuse(&self, problems: &[Problem]) -> ExitCode {
        self.tell(problems);
        let count = problems.len();
        eprint(format_args!("{count} problem{} found", if count == 1 { "" } else { "s" }));
        ExitCode::from(CONFIGURATION)
    }

    /// Prints problems or warnings, a line each.
    pub(super) fn tell(&self, problems: &[Problem]) {
        for problem in problems {
            eprint(problem.display(&self.path.display().to_string(), &self.text));
        }
    }
}
