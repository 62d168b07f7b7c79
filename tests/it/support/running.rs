//! A gateway as an operator runs it: a process with a file of its own, secrets in
//! its environment, told by signals; and the processes that take its place.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use serde_json::Value;

use super::process::kill;
use super::{Conn, Process, SESSION_SECRET, Setup, eventually, folder, get};

const KEY: &str = "PRTV_keyOne_canaryOfTheKey0123456789abcdef";

/// The secrets of `Setup`, where its file says `env:`.
pub(crate) const ENVIRONMENT: [(&str, &str); 2] =
    [("SESSION_SECRET", SESSION_SECRET), ("PORTIVE_API_KEY", KEY)];

pub(crate) struct Running {
    pub(crate) process: Process,
    pub(crate) file: PathBuf,
    pub(crate) address: String,
    pub(crate) admin: String,
    /// Processes that took over; they are nobody's children and must not stay.
    successors: Mutex<Vec<String>>,
}

/// The file of a setup, secrets outside of it.
pub(crate) fn file_of(setup: &Setup) -> String {
    let outside = |text: String, (name, value): &(&str, &str)| {
        text.replace(&format!("{value:?}"), &format!("\"env:{name}\""))
    };
    ENVIRONMENT.iter().fold(setup.text(), outside)
}

impl Running {
    pub(crate) fn start(setup: &Setup) -> Self {
        Self::start_as(&folder().join("gateway.toml"), &file_of(setup), &[])
    }

    /// With this text at this place, and more in the environment.
    pub(crate) fn start_as(file: &Path, text: &str, more: &[(&str, &str)]) -> Self {
        Self::with(file, Process::run(file, text, &[&ENVIRONMENT, more].concat()))
    }

    /// With its secrets in a file of variables instead of the environment.
    pub(crate) fn start_with_env_file(file: &Path, text: &str, variables: &Path) -> Self {
        let arguments = ["--env-file", variables.to_str().unwrap()];
        Self::with(file, Process::run_with(file, text, &arguments, &[]))
    }

    fn with(file: &Path, process: Process) -> Self {
        let (address, admin) = process.addresses();
        Self { process, file: file.to_owned(), address, admin, successors: Mutex::default() }
    }

    /// The answer of the admin listener.
    pub(crate) fn admin(&self, path: &str) -> (u16, String) {
        let mut conn = Conn::open(&self.admin);
        conn.write(
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                .as_bytes(),
        );
        let head = conn.next_head().unwrap();
        (head.status, String::from_utf8(conn.rest()).unwrap())
    }

    /// How many reloads had this result.
    pub(crate) fn reloads(&self, result: &str) -> usize {
        let line = format!("portcullis_reloads_total{{result=\"{result}\"}} ");
        let metrics = self.admin("/metrics").1;
        metrics.lines().find_map(|l| l.strip_prefix(&line)?.parse().ok()).unwrap_or(0)
    }

    /// Waits until no request is under way: one is counted, and has its line in the log, a
    /// moment after its client has the answer.
    #[track_caller]
    pub(crate) fn settle(&self) {
        let none = "\nportcullis_requests_in_flight 0\n";
        eventually("the end of every request", || self.admin("/metrics").1.contains(none));
    }

    pub(crate) fn token(&self, user: &str) -> u16 {
        Conn::open(&self.address).ask(&get("/api/get-auth-token").user(user)).status
    }

    pub(crate) fn page(&self, path: &str) -> u16 {
        Conn::open(&self.address).ask(&get(path)).status
    }

    /// Lines of standard error with this message.
    pub(crate) fn lines(&self, message: &str) -> Vec<Value> {
        let said = self.process.errors();
        let lines = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.filter(|line| line["message"] == message).collect()
    }

    /// The process that serves now.
    pub(crate) fn pid(&self) -> String {
        let successors = self.successors.lock().unwrap();
        successors.last().cloned().unwrap_or_else(|| self.process.id().to_string())
    }

    /// Sends a signal to the process that serves now.
    pub(crate) fn signal(&self, name: &str) {
        assert!(kill(name, &self.pid()));
    }

    /// Asks for an upgrade and waits until the successor serves and the old
    /// process is gone.
    pub(crate) fn upgrade(&self) {
        let old = self.pid();
        self.begin_upgrade();
        // A process whose parent has ended, or the test's own child.
        eventually("the end of the old one", || !is_running(&old));
    }

    /// As `upgrade`; the old process may still have something to finish.
    pub(crate) fn begin_upgrade(&self) {
        let count = self.lines("replaced").len();
        self.signal("USR2");
        eventually("the successor", || self.lines("replaced").len() > count);
        self.learn_successor();
    }

    /// Whether some process has taken over; the last one is from now on the one that serves.
    pub(crate) fn learn_successor(&self) -> bool {
        let replaced = self.lines("replaced");
        let pids = replaced.iter().map(|line| line["pid"].to_string());
        *self.successors.lock().unwrap() = pids.collect();
        !replaced.is_empty()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        for pid in self.successors.lock().unwrap().iter().filter(|pid| is_running(pid)) {
            kill("KILL", pid);
        }
    }
}

pub(crate) fn is_running(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with(" Z"))
}
