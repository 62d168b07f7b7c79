//! `portcullis run`: the gateway itself.

use std::process::ExitCode;
use std::sync::Arc;

use super::file::File;
use super::output::{CONFIGURATION, eprint};
use crate::base::clock::Clock;
use crate::base::hardening::{allow_many_connections, keep_memory_private, use_small_pages};
use crate::config::{AuditDestination, Config, Format, Log, Sources};
use crate::observe::{AccessLog, AuditLog, Sink, start_diagnostics};
use crate::reload::Reload;
use crate::server::{Listeners, Program, Shutdown, SignalHandlers, TAKE_OVER, serve};
use crate::state::State;

pub(super) fn run(sources: &Sources, sockets: Sockets) -> ExitCode {
    let file = match File::read(sources) {
        Ok(file) => file,
        Err(code) => return code,
    };
    match Config::read(&file.text, &file.secrets) {
        Ok(config) => {
            start_diagnostics(&config.log);
            config.warn(&sources.path, &file.text);
            let reload = Reload::new(sources, &config, &file.secrets);
            start(config, reload, sockets)
        }
        Err(problems) => file.refuse(&problems),
    }
}

/// Where listening sockets come from.
#[derive(Clone, Copy)]
pub(super) enum Sockets {
    Bound,
    /// From the process that is replaced.
    TakenOver,
}

fn start(config: Config, reload: Reload, sockets: Sockets) -> ExitCode {
    let caught = SignalHandlers::all();
    let listeners = match sockets {
        Sockets::Bound => Ok(Listeners::bind(&config.server)),
        Sockets::TakenOver => Listeners::take_over(&config.server),
    };
    match listeners {
        Ok(Ok(listeners)) => serve_on(listeners, caught, config, Some(reload)),
        Ok(Err(errors)) => {
            errors.iter().for_each(eprint);
            ExitCode::from(CONFIGURATION)
        }
        Err(error) => {
            eprint(format_args!("{TAKE_OVER} came without sockets: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Serves until a signal says to stop.
pub(super) fn serve_on(
    listeners: Listeners,
    caught: SignalHandlers,
    config: Config,
    reload: Option<Reload>,
) -> ExitCode {
    start_diagnostics(&config.log);
    use_small_pages();
    keep_memory_private();
    allow_many_connections();
    let server = config.server.clone();
    let access = match AccessLog::start(format_of(&config.log), Sink::Stdout) {
        Ok(access) => access,
        Err(error) => {
            eprint(format_args!("the access log cannot be started: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let audit = match AuditLog::from_settings(&config.log.audit) {
        Ok(audit) => audit,
        Err(error) => {
            let path = match &config.log.audit {
                Some((AuditDestination::File(path), _)) => path.display().to_string(),
                Some((AuditDestination::Stdout, _)) | None => "stdout".to_owned(),
            };
            eprint(format_args!("log.audit: {path} cannot be opened: {error}"));
            return ExitCode::from(CONFIGURATION);
        }
    };
    let revocations = config.revocations.path(state_directory().as_deref());
    let state = Arc::new(State::new(config, Clock::system(), access, audit));
    if let Some(path) = revocations
        && let Err(error) = state.identifier.keep_revocations(&path, state.clock.clone())
    {
        eprint(format_args!("revocations.file: {}: {error}", path.display()));
        return ExitCode::from(CONFIGURATION);
    }
    // The demo has nothing to be replaced by.
    let program = reload.is_some().then(|| Program::of_this_process().ok()).flatten();
    match serve(&state, &server, listeners, Shutdown::Signals(caught, program), reload) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprint(format_args!("no thread can be started: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// The folder systemd names for a unit with `StateDirectory=`.
#[expect(clippy::disallowed_methods, reason = "a path that systemd gives, not a setting")]
pub(super) fn state_directory() -> Option<String> {
    std::env::var("STATE_DIRECTORY").ok()
}

fn format_of(log: &Log) -> Format {
    use std::io::IsTerminal as _;
    log.format.unwrap_or_else(|| {
        if std::io::stdout().is_terminal() { Format::Text } else { Format::Json }
    })
}
