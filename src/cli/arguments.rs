//! The command that the arguments name.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{
    Arg, ArgAction, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, value_parser,
};
use clap_complete::Shell;

use super::output::CONFIGURATION;
use super::{check, demo, init, manual, presets, run, schema, selftest, session, token};
use crate::base::build;
use crate::config::Sources;

/// A reverse-proxy authentication gateway: reads the app's own session cookie,
/// limits each user, vends short-lived third-party tokens, keeps the API keys.
#[derive(Parser)]
#[command(name = "portcullis", version, long_version = build::long_version(), propagate_version = true)]
struct Arguments {
    /// The configuration file.
    #[arg(long, short, global = true, default_value = "gateway.toml")]
    config: PathBuf,
    /// A file of `NAME=value` lines, read as dotenv does; the environment wins, and a
    /// later file over an earlier one.
    #[arg(long = "env-file", global = true, value_name = "FILE")]
    env_files: Vec<PathBuf>,
    /// Serve on the sockets of the process that started this one.
    #[arg(long, global = true, hide = true)]
    take_over: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Say what is wrong with the configuration, all of it, or `ok`.
    Check(check::Options),
    /// Print the completions of a shell.
    Completions {
        /// The shell that reads them.
        shell: Shell,
    },
    /// Run a sample app behind a gateway; needs no set-up.
    Demo,
    /// Look at the app in a folder and write a gateway.toml for it.
    Init(init::Options),
    /// Print the manual page, or that of a command.
    Man {
        /// The command; without one, the page is the program's.
        command: Option<String>,
    },
    /// List the built-in presets, or print one.
    Presets {
        /// The preset to print; without one, all of them are listed.
        name: Option<String>,
    },
    /// Run the gateway (the default).
    Run,
    /// Print the JSON Schema of the configuration file, for editors.
    Schema,
    /// Try harmless attacks on your own deployment, and say what would hurt.
    Selftest(selftest::Options),
    /// Say what the gateway sees in a `Cookie` header.
    Session(session::Options),
    /// Mint a token offline, as the endpoint would.
    Token(token::Options),
}

/// Commands that read no configuration, and those that read no variables.
const WITHOUT_CONFIG: [&str; 5] = ["completions", "demo", "man", "presets", "schema"];
const WITHOUT_ENV_FILE: [&str; 6] = ["completions", "demo", "init", "man", "presets", "schema"];

/// The command line as it is parsed and shown. `--config` and `--env-file` are understood
/// before and behind each command; where nothing reads them, help does not list them. A
/// command's own argument of the same name hides the general one.
fn command() -> clap::Command {
    let hidden = |id: &'static str, long: &'static str| {
        Arg::new(id).long(long).hide(true).value_parser(value_parser!(PathBuf))
    };
    let whole = WITHOUT_CONFIG.iter().fold(Arguments::command(), |whole, name| {
        whole.mut_subcommand(name, |it| it.arg(hidden("config", "config").short('c')))
    });
    WITHOUT_ENV_FILE.iter().fold(whole, |whole, name| {
        let env_files = hidden("env_files", "env-file").action(ArgAction::Append);
        whole.mut_subcommand(name, |it| it.arg(env_files))
    })
}

fn parsed() -> Result<Arguments, clap::Error> {
    let mut command = command();
    let matches = command.try_get_matches_from_mut(std::env::args_os())?;
    Arguments::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
}

/// Runs the command the arguments name.
pub fn main() -> ExitCode {
    let arguments = match parsed() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Printing fails only if the reader is gone.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { CONFIGURATION } else { 0 });
        }
    };
    let sources = Sources { path: arguments.config, env_files: arguments.env_files };
    let sockets = if arguments.take_over { run::Sockets::TakenOver } else { run::Sockets::Bound };
    match arguments.command.unwrap_or(Command::Run) {
        Command::Check(options) => check::check(&sources, &options),
        Command::Completions { shell } => manual::completions(command(), shell),
        Command::Demo => demo::demo(),
        Command::Init(options) => init::init(&sources, &options),
        Command::Man { command } => manual::page(self::command(), command.as_deref()),
        Command::Presets { name } => presets::presets(name.as_deref()),
        Command::Run => run::run(&sources, sockets),
        Command::Schema => schema::schema(),
        Command::Selftest(options) => selftest::selftest(&sources, &options),
        Command::Session(options) => session::session(&sources, &options),
        Command::Token(options) => token::token(&sources, &options),
    }
}
