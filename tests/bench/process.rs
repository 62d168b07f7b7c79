//! A server in a process of its own, and what it uses up.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStderr, ChildStdin, Command, Stdio};
use std::sync::Mutex;

/// Ends with this value: a server stops when its standard input closes.
pub(crate) struct Process {
    pub(crate) address: String,
    child: Child,
    pipes: Mutex<(ChildStdin, BufReader<ChildStderr>)>,
}

impl Process {
    /// Starts this program in another role and waits until it listens.
    pub(crate) fn start(role: &str, arguments: &[&str]) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .arg(role)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdin = child.stdin.take().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut address = String::new();
        stderr.read_line(&mut address).unwrap();
        let pipes = Mutex::new((stdin, stderr));
        Self { address: address.trim().to_owned(), child, pipes }
    }

    /// The processor time that `work` makes this process spend.
    pub(crate) fn seconds_for(&self, work: impl FnOnce()) -> f64 {
        let before = self.processor_seconds();
        work();
        self.processor_seconds() - before
    }

    /// Time all threads spent on a processor, which the scheduler counts in
    /// nanoseconds.
    fn processor_seconds(&self) -> f64 {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        let nanoseconds = |thread: std::io::Result<std::fs::DirEntry>| {
            let schedule =
                std::fs::read_to_string(thread.unwrap().path().join("schedstat")).unwrap();
            schedule.split_whitespace().next().unwrap().parse::<f64>().unwrap()
        };
        threads.map(nanoseconds).sum::<f64>() / 1e9
    }

    /// Resident memory in bytes.
    pub(crate) fn resident(&self) -> i64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<i64>().unwrap() * 1024
    }

    /// Allocations since the process started.
    pub(crate) fn allocations(&self) -> u64 {
        let (stdin, stderr) = &mut *self.pipes.lock().unwrap();
        stdin.write_all(b"\n").unwrap();
        let mut line = String::new();
        stderr.read_line(&mut line).unwrap();
        line.trim().parse().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}
