//! The built program as a process of its own.

use std::io::{BufRead as _, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use serde_json::Value;

use super::{PATIENCE, eventually};

/// The build under test, unless `PORTCULLIS` names another one.
fn program() -> String {
    std::env::var("PORTCULLIS").unwrap_or_else(|_| env!("CARGO_BIN_EXE_portcullis").to_owned())
}

/// Longest path of a Unix socket, its name in the folder left out.
const SHORT: usize = 80;

/// An empty folder of this test's own, with room for sockets whatever the build's folder is.
pub(crate) fn folder() -> PathBuf {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let number = NEXT.fetch_add(1, Ordering::SeqCst);
    let name = format!("it-{}-{number}", std::process::id());
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(&name);
    let is_short = folder.as_os_str().len() <= SHORT;
    let folder = if is_short { folder } else { std::env::temp_dir().join(name) };
    drop(std::fs::remove_dir_all(&folder));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// Gives a file another content at once: a reader sees the old one or the new one.
pub(crate) fn replace(file: &Path, content: impl AsRef<[u8]>) {
    let beside = file.with_extension("next");
    std::fs::write(&beside, content).unwrap();
    std::fs::rename(&beside, file).unwrap();
}

/// A running `portcullis`; killed when dropped.
pub(crate) struct Process {
    child: Child,
    /// Its output, for callers that take it away often.
    pub(crate) output: Arc<Mutex<String>>,
    errors: Arc<Mutex<String>>,
}

impl Process {
    /// Runs with `text` as its configuration.
    pub(crate) fn run(file: &Path, text: &str, environment: &[(&str, &str)]) -> Self {
        Self::run_with(file, text, &[], environment)
    }

    /// As `run`, with more arguments.
    pub(crate) fn run_with(
        file: &Path,
        text: &str,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        std::fs::write(file, text).unwrap();
        let run = ["run", "--config", file.to_str().unwrap()];
        let mut child = command(&[&run, arguments].concat())
            .envs(environment.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let output = collect(child.stdout.take().unwrap());
        let errors = collect(child.stderr.take().unwrap());
        Self { child, output, errors }
    }

    /// Runs a command to its end: exit code, standard output, standard error.
    pub(crate) fn finish(
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> (i32, String, String) {
        let done = command(arguments).envs(environment.iter().copied()).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (done.status.code().unwrap(), text(done.stdout), text(done.stderr))
    }

    pub(crate) fn output(&self) -> String {
        self.output.lock().unwrap().clone()
    }

    pub(crate) fn errors(&self) -> String {
        self.errors.lock().unwrap().clone()
    }

    /// Where the (first) public and the admin listener are.
    #[track_caller]
    pub(crate) fn addresses(&self) -> (String, String) {
        let admin = || self.said_addresses("admin listening").pop();
        eventually("the listeners", || admin().is_some());
        (self.listeners().remove(0), admin().unwrap())
    }

    /// Where the public listeners are, as the file lists them.
    pub(crate) fn listeners(&self) -> Vec<String> {
        self.said_addresses("listening")
    }

    fn said_addresses(&self, message: &str) -> Vec<String> {
        let said = self.errors();
        let lines = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let lines = lines.filter(|line| line["message"] == message);
        lines.map(|line| line["address"].as_str().unwrap().to_owned()).collect()
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, name: &str) {
        assert!(kill(name, &self.id().to_string()));
    }

    /// Sends a signal at the moment a condition of the shell holds.
    pub(crate) fn signal_when(&self, name: &str, condition: &str) {
        let id = self.id();
        let wait = format!("while kill -0 {id} && ! {condition}; do :; done; kill -{name} {id}");
        assert!(Command::new("sh").args(["-c", &wait]).status().unwrap().success());
    }

    /// Waits for the end of the process.
    #[track_caller]
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(began.elapsed() < PATIENCE, "still running: {}", self.errors());
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Sends a signal to whichever process; whether there is one.
pub(crate) fn kill(signal: &str, pid: &str) -> bool {
    Command::new("kill").args([&format!("-{signal}"), pid]).output().unwrap().status.success()
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(program());
    command.args(arguments).env_clear().stdin(Stdio::null());
    command
}

fn collect(stream: impl Read + Send + 'static) -> Arc<Mutex<String>> {
    let text = Arc::new(Mutex::new(String::new()));
    let into = text.clone();
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            let mut text = into.lock().unwrap();
            text.push_str(&line);
            text.push('\n');
        }
    });
    text
}
