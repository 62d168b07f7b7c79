//! The whole of `gateway.toml`: its tables, put together.
//!
//! `Config::read` either returns a configuration that can run, or every problem
//! of the file with its place. Each table is read by the module that owns it;
//! this one owns what belongs to the process: listeners and logging.

use std::path::{Path, PathBuf};

use super::auth::AuthTable;
use super::listen_overlap;
use super::log::Log;
use super::revocations::Revocations;
use super::server::ServerSettings;
use super::server_table::ServerTable;
use super::shared::{self, SharedSettings};
use super::warnings;
use crate::base::secret::Secrets;
use crate::document::{At, Node, Problem, Problems, Table, Value};
use crate::edge::Edge;
use crate::policy::{Policy, RequestSettings};

/// A configuration that can run.
pub struct Config {
    pub server: ServerSettings,
    pub log: Log,
    pub revocations: Revocations,
    /// State shared by replicas.
    pub shared: Option<SharedSettings>,
    pub edge: Edge,
    pub policy: Policy,
    /// Unsafe things that the file allows.
    pub warnings: Vec<Problem>,
}

impl Config {
    /// Reads the text of a file; on any problem, all of them.
    pub fn read(text: &str, secrets: &Secrets) -> Result<Self, Vec<Problem>> {
        let problems = Problems::default();
        let document = Node::parse(text, &problems);
        let config = read(&document, &problems, secrets);
        match config {
            Some(config) if problems.is_empty() => {
                warnings::note(&At::new(&document, "", &problems, secrets));
                Ok(Self { warnings: problems.into_warnings(), ..config })
            }
            Some(_) | None => Err(problems.into_sorted()),
        }
    }
}

impl Config {
    /// Logs each warning; `text` is that of the file.
    pub(crate) fn warn(&self, path: &Path, text: &str) {
        let file = path.display().to_string();
        for warning in &self.warnings {
            let setting = warning.display(&file, text).to_string();
            tracing::warn!(setting, "unsafe setting");
        }
    }
}

fn read(document: &Node, problems: &Problems, secrets: &Secrets) -> Option<Config> {
    let mut top = At::new(document, "", problems, secrets).table()?;
    let server_at = top.take("server");
    let table = ServerTable::from_node(server_at.clone());
    let log = Log::from_node(top.take("log"));
    let revocations = Revocations::from_node(top.take("revocations"));
    let shared = top.take("shared").map(|at| SharedSettings::from_node(&at));
    if shared.is_none() {
        shared::check_unshared(&top);
    }
    if log.as_ref().is_some_and(|log| log.audit.is_none()) {
        check_audit(&top);
    }
    let auth_at = top.take("auth");
    let auth = auth_at.as_ref().and_then(AuthTable::read);
    // Where `[server]` is wrong, the rest is still read for its problems.
    let (mut settings, process) = table.map(split).unzip();
    if let (Some(settings), true) = (&mut settings, auth_at.is_some()) {
        settings.front = Some(auth.as_ref().map(|auth| auth.front.clone()).unwrap_or_default());
    }
    let policy = Policy::from_table(&mut top, settings.unwrap_or_default());
    top.finish();
    let (mut server, mut edge) = process?;
    if let Some(auth) = auth {
        server.auth = auth.listen;
        edge.fronts = auth.front.trusted;
    }
    listen_overlap::check(&server, &[server_at, auth_at]);
    Some(Config {
        server,
        log: log?,
        revocations: revocations?,
        shared: shared.map_or(Some(None), |shared| shared.map(Some))?,
        edge,
        policy: policy?,
        warnings: Vec::new(),
    })
}

/// The parts of `[server]` about requests, and those about the process and its connections.
fn split(table: ServerTable) -> (RequestSettings, (ServerSettings, Edge)) {
    let ServerTable { server, edge, hosts, public_origins, limits } = table;
    let trusted = edge.proxies.clone();
    let settings = RequestSettings { trusted, hosts, public_origins, limits, front: None };
    (settings, (server, edge))
}

/// A token that must be recorded needs a log to record it.
fn check_audit(top: &Table<'_>) {
    let tokens = top.peek("token").filter(|at| matches!(at.node.value, Value::Table(_)));
    for (_, token) in tokens.as_ref().map(At::members).unwrap_or_default() {
        let Value::Table(entries) = &token.node.value else { continue };
        if entries.iter().any(|(key, _)| key.name == "audit") {
            token.problem("`audit` needs a log; add [log] with audit = \"stdout\" or a path");
        }
    }
}

/// The files a configuration comes from, as the command line names them.
#[derive(Clone, Debug)]
pub struct Sources {
    /// `gateway.toml`. Relative `file:` references start from its folder.
    pub path: PathBuf,
    /// Files of variables that stand in for the environment.
    pub env_files: Vec<PathBuf>,
}

impl Sources {
    /// Where references are looked up, with every problem of the files of variables.
    pub fn secrets(&self) -> (Secrets, Vec<String>) {
        let folder = self.path.parent().unwrap_or_else(|| Path::new("")).to_owned();
        let mut secrets = Secrets::of_process(folder);
        let read = |path: &PathBuf| secrets.read_env_file(path).err();
        let problems = self.env_files.iter().filter_map(read).collect();
        (secrets, problems)
    }
}
