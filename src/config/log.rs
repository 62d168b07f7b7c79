//! `[log]`: diagnostics, access log, audit log.

use std::path::PathBuf;

use crate::base::secret::Secrets;
use crate::base::units::Share;
use crate::document::{At, Table, Value};
use crate::policy::AuditMode;

use super::otlp::{Otlp, read_share};

/// Logging settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// Absent: text on a terminal, JSON elsewhere.
    pub format: Option<Format>,
    pub level: tracing::Level,
    pub lines: Lines,
    pub user: UserField,
    /// The audit log of tokens issued and refused, if any.
    pub audit: Option<(AuditDestination, AuditMode)>,
    /// The collector of traces, if any.
    pub otlp: Option<Otlp>,
}

/// Where the lines of the audit log go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuditDestination {
    File(PathBuf),
    Stdout,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// The format of web servers; diagnostics have no such form.
    Combined,
    Json,
    Logfmt,
    Text,
}

/// The requests that have a line in the access log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lines {
    #[default]
    All,
    None,
    /// This share of those that went well, and all others.
    Part(Share),
}

/// How the access log names the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserField {
    Hash,
    Off,
    Plain,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            format: None,
            level: tracing::Level::INFO,
            lines: Lines::All,
            user: UserField::Hash,
            audit: None,
            otlp: None,
        }
    }
}

impl Log {
    /// The settings that differ and belong to the process: they need a restart.
    pub(crate) fn changed(&self, new: &Self) -> Vec<&'static str> {
        let Self { format, level: _, lines: _, user, audit, otlp: _ } = self;
        [
            ("log.format", *format != new.format),
            ("log.user", *user != new.user),
            ("log.audit", *audit != new.audit),
        ]
        .into_iter()
        .filter_map(|(name, differs)| differs.then_some(name))
        .collect()
    }

    pub(super) fn from_node(at: Option<At<'_>>) -> Option<Self> {
        let Some(at) = at else { return Some(Self::default()) };
        let mut table = at.table()?;
        let format = table.take("format").and_then(|at| {
            at.choose(&[
                ("json", Format::Json),
                ("text", Format::Text),
                ("logfmt", Format::Logfmt),
                ("combined", Format::Combined),
            ])
        });
        let lines = read_lines(&mut table);
        let level = table.take("level").and_then(|at| {
            use tracing::Level;
            at.choose(&[
                ("error", Level::ERROR),
                ("warn", Level::WARN),
                ("info", Level::INFO),
                ("debug", Level::DEBUG),
                ("trace", Level::TRACE),
            ])
        });
        let user = table.take("user").and_then(|at| {
            at.choose(&[
                ("hash", UserField::Hash),
                ("plain", UserField::Plain),
                ("off", UserField::Off),
            ])
        });
        let audit = table.take("audit").and_then(|at| read_audit(&at));
        let otlp = table.take("otlp").and_then(|at| Otlp::read(&at));
        table.finish();
        let default = Self::default();
        Some(Self {
            format,
            level: level.unwrap_or(default.level),
            lines: lines.unwrap_or_default(),
            user: user.unwrap_or(default.user),
            audit,
            otlp,
        })
    }
}

/// `access` and `sample`.
fn read_lines(table: &mut Table<'_>) -> Option<Lines> {
    let on = table.get::<bool>("access").unwrap_or(true);
    let sample = table.take("sample");
    let Some(at) = sample else { return Some(if on { Lines::All } else { Lines::None }) };
    if !on {
        at.problem("goes with an access log, which `access = false` turns off; leave one out");
        return None;
    }
    let share = read_share(&at)?;
    Some(if share == Share::ALL { Lines::All } else { Lines::Part(share) })
}

/// `"stdout"`, a path, or either of them with `required`.
fn read_audit(at: &At<'_>) -> Option<(AuditDestination, AuditMode)> {
    if !matches!(at.node.value, Value::Table(_)) {
        return Some((destination(at)?, AuditMode::Wanted));
    }
    let mut table = at.table()?;
    let to = table.take_needed("to", r#"to = "stdout" or the path of a file"#);
    let required = table.get::<bool>("required").unwrap_or(false);
    table.finish();
    Some((destination(&to?)?, if required { AuditMode::Required } else { AuditMode::Wanted }))
}

/// A relative path starts from the folder of the settings, as `file:` does.
fn destination(at: &At<'_>) -> Option<AuditDestination> {
    const EXPECTED: &str = r#""stdout" or a path such as "/var/log/portcullis/audit.jsonl""#;
    match at.text(EXPECTED)? {
        "stdout" => Some(AuditDestination::Stdout),
        "" => {
            at.wrong(EXPECTED);
            None
        }
        path => Some(AuditDestination::File(match at.secrets {
            Secrets::Literal => PathBuf::from(path),
            Secrets::Process { folder, .. } => folder.join(path),
        })),
    }
}
