//! `portcullis run`: the gateway itself.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use super::file::File;
use super::{CONFIGURATION, complain};
use crate::audit::AuditLog;
use crate::clock::Clock;
use crate::config::{Config, Format, Log};
use crate::live::Live;
use crate::observe::{AccessLog, Sink, start_diagnostics};
use crate::process::keep_memory_private;
use crate::reload::Reload;
use crate::server::{Listeners, Shutdown, serve};

pub(super) fn run(path: &Path) -> ExitCode {
    let file = match File::read(path) {
        Ok(file) => file,
        Err(code) => return code,
    };
    match Config::read(&file.text, &file.secrets) {
        Ok(config) => {
            let reload = Reload::new(path, &config.server, config.log.clone(), &file.secrets);
            start(config, reload)
        }
        Err(problems) => file.refuse(&problems),
    }
}

fn start(config: Config, reload: Reload) -> ExitCode {
    match Listeners::bind(&config.server) {
        Ok(listeners) => serve_on(listeners, config, Some(reload)),
        Err(errors) => {
            errors.iter().for_each(complain);
            ExitCode::from(CONFIGURATION)
        }
    }
}

/// Serves until a signal says to stop.
pub(super) fn serve_on(listeners: Listeners, config: Config, reload: Option<Reload>) -> ExitCode {
    start_diagnostics(&config.log);
    keep_memory_private();
    let server = config.server.clone();
    let access = match AccessLog::start(format_of(&config.log), Sink::Stdout) {
        Ok(access) => access,
        Err(error) => {
            complain(format_args!("the access log cannot be started: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let audit = match AuditLog::of(&config.log.audit) {
        Ok(audit) => audit,
        Err(error) => {
            complain(format_args!("log.audit: cannot be opened: {error}"));
            return ExitCode::from(CONFIGURATION);
        }
    };
    let live = Arc::new(Live::new(config, Clock::system(), access).audited(audit));
    serve(&live, &server, listeners, Shutdown::Signals, reload);
    ExitCode::SUCCESS
}

fn format_of(log: &Log) -> Format {
    use std::io::IsTerminal as _;
    log.format.unwrap_or_else(|| {
        if std::io::stdout().is_terminal() { Format::Text } else { Format::Json }
    })
}
