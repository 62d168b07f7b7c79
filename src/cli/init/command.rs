//! The command: reads the folder, writes the file, says what was guessed. Asks nothing,
//! and never writes over a file.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::draft::{Draft, draft};
use super::env::Origin;
use super::next;
use super::project::Project;
use crate::cli::output::{CONFIGURATION, eprint, print};
use crate::config::Sources;

const SEVERAL: &str = "Apps in folders of their own";

#[derive(Args)]
pub(in crate::cli) struct Options {
    /// The app's folder.
    #[arg(default_value = ".")]
    folder: PathBuf,
    /// Print the file instead of writing it.
    #[arg(long)]
    print: bool,
}

pub(in crate::cli) fn init(sources: &Sources, options: &Options) -> ExitCode {
    if !options.folder.is_dir() {
        eprint(format_args!("{}: expected the app's folder", options.folder.display()));
        return ExitCode::from(CONFIGURATION);
    }
    let project = Project::read(&options.folder);
    let draft = draft(&project);
    let apps = next::apps(&options.folder, &project);
    if options.print {
        project.unread.iter().for_each(|why| eprint(format_args!("cannot be read: {why}")));
        apps.iter().for_each(|command| eprint(format_args!("{SEVERAL}: {command}")));
        print(draft.file.trim_end());
        return ExitCode::SUCCESS;
    }
    let path = next::from_here(&options.folder, &sources.path);
    if let Err(why) = write_new(&path, &draft.file) {
        eprint(format_args!("{}: {why}", path.display()));
        return ExitCode::from(CONFIGURATION);
    }
    report(&path, &draft, &project);
    section(SEVERAL, &apps);
    print(format_args!(
        "\nNext: {}",
        next::check(&options.folder, sources, &project, &draft.variables)
    ));
    ExitCode::SUCCESS
}

fn write_new(path: &Path, text: &str) -> Result<(), String> {
    let file = OpenOptions::new().write(true).create_new(true).open(path);
    let mut file = file.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => {
            "the file exists already and is left as it is; name another with --config, or use \
             --print"
                .to_owned()
        }
        _ => format!("cannot be written: {error}"),
    })?;
    file.write_all(text.as_bytes()).map_err(|error| format!("cannot be written: {error}"))
}

fn report(path: &Path, draft: &Draft, project: &Project) {
    print(format_args!("{} is written.", path.display()));
    section("Cannot be read, so it was skipped", &project.unread);
    section("Guessed", &draft.guessed);
    section("To delete from the app, once the gateway runs", &draft.delete);
    let variables = draft.variables.iter().map(|name| match project.env.origin(name) {
        Origin::File(file) => format!("{name} (in {file})"),
        Origin::Unreadable(file, line) => format!(
            "{name} (in {file}, which --env-file cannot read because of its line {line}: set it)"
        ),
        Origin::Example(file) => format!("{name} (an example of it in {file}: set it)"),
        Origin::Nowhere => format!("{name} (not found: set it)"),
    });
    section("The gateway needs in its environment", &variables.collect::<Vec<_>>());
    section("Worth knowing", &draft.notes);
}

fn section(title: &str, lines: &[String]) {
    if !lines.is_empty() {
        print(format_args!("\n{title}:"));
        lines.iter().for_each(|line| print(format_args!("  {line}")));
    }
}
