//! A server in a process of its own, and what it uses up.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdin, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use serde_json::Value;

use crate::certificate;
use crate::servers::gateway_toml;

/// Ends with this value: a server stops when its standard input closes.
pub(crate) struct Process {
    pub(crate) address: String,
    child: Child,
    pipes: Mutex<(ChildStdin, BufReader<ChildStderr>)>,
}

impl Process {
    /// Starts this program in another role and waits until it listens.
    pub(crate) fn start(role: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        Self::spawn(command.arg(role).args(arguments), |line| Some(line.trim().to_owned()))
    }

    /// Starts the gateway as it is installed, in front of `app`.
    pub(crate) fn gateway(kind: &str, app: &str) -> Self {
        Self::gateway_with(kind, app, "")
    }

    /// As `gateway`, over TLS.
    pub(crate) fn gateway_tls(kind: &str, app: &str) -> Self {
        let files = (certificate::chain_file(), certificate::key_file());
        Self::gateway_with(
            kind,
            app,
            &format!("tls = [{{ cert = {:?}, key = {:?} }}]", files.0, files.1),
        )
    }

    /// The gateway where another proxy asks it; the address is that of questions.
    pub(crate) fn gateway_asked(app: &str) -> Self {
        let file = folder().join("auth.toml");
        let text = gateway_toml("jwt", app, "env:", "");
        std::fs::write(&file, format!("{text}\n[auth]\nlisten = \"127.0.0.1:0\"\n")).unwrap();
        Self::gateway_of(&file, "auth listening")
    }

    /// The gateway with a share of its requests traced to a collector.
    pub(crate) fn gateway_traced(app: &str, collector: &str, sample: &str) -> Self {
        let file = folder().join("traces.toml");
        let otlp =
            format!("{{ endpoint = \"http://{collector}/bytes/2\", sample = \"{sample}\" }}");
        let text = gateway_toml("jwt", app, "env:", "");
        std::fs::write(&file, format!("{text}\n[log]\notlp = {otlp}\n")).unwrap();
        Self::gateway_of(&file, "listening")
    }

    fn gateway_with(kind: &str, app: &str, more: &str) -> Self {
        let file = folder().join(format!("{kind}.toml"));
        std::fs::write(&file, gateway_toml(kind, app, "env:", more)).unwrap();
        Self::gateway_of(&file, "listening")
    }

    /// Waits for the line with this message.
    fn gateway_of(file: &Path, message: &str) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
        command.arg("run").arg("--config").arg(file);
        command.envs(crate::servers::SECRETS);
        Self::spawn(&mut command, |line| {
            let line: Value = serde_json::from_str(line).unwrap();
            (line["message"] == message).then(|| line["address"].as_str().unwrap().to_owned())
        })
    }

    /// Starts nginx with one worker in front of `app`; `None` if it is not installed.
    pub(crate) fn nginx(app: &str) -> Option<Self> {
        Self::nginx_with(app, "", "")
    }

    /// As `nginx`, over TLS.
    pub(crate) fn nginx_tls(app: &str) -> Option<Self> {
        let settings =
            "ssl_certificate FOLDER/certificate.pem; ssl_certificate_key FOLDER/key.pem;";
        Self::nginx_with(app, " ssl http2", settings)
    }

    /// An nginx that asks about each request: more tables, and lines of the server and of
    /// the app's location.
    pub(crate) fn nginx_asking(
        app: &str,
        tables: &str,
        server: &str,
        location: &str,
    ) -> Option<Self> {
        let text = include_str!("nginx.conf");
        let text = text.replace("    server {", &format!("    {tables}\n    server {{"));
        let text = text.replace("location / {", &format!("location / {{ {location}"));
        Self::nginx_of(&text, app, "", server)
    }

    fn nginx_with(app: &str, listen: &str, more: &str) -> Option<Self> {
        Self::nginx_of(include_str!("nginx.conf"), app, listen, more)
    }

    fn nginx_of(text: &str, app: &str, listen: &str, more: &str) -> Option<Self> {
        // It cannot choose a port itself.
        let (address, folder) = (free_address(), folder());
        let text = text.replace("LISTEN", &format!("{address}{listen}"));
        let text = text.replace("MORE", more).replace("APP", app);
        let text = text.replace("FOLDER", folder.to_str().unwrap());
        let file = folder.join(format!("nginx-{address}.conf"));
        std::fs::write(&file, text).unwrap();
        let mut command = Command::new("/usr/sbin/nginx");
        command.arg("-e").arg("stderr").arg("-c").arg(file);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let Ok(mut child) = command.spawn() else {
            println!("nginx is not installed and left out");
            return None;
        };
        let pipes = (child.stdin.take().unwrap(), BufReader::new(child.stderr.take().unwrap()));
        while TcpStream::connect(&address).is_err() {
            assert!(child.try_wait().unwrap().is_none(), "nginx did not start");
            std::thread::sleep(Duration::from_millis(5));
        }
        Some(Self { address, child, pipes: Mutex::new(pipes) })
    }

    /// Waits for the line of standard error that tells the address.
    fn spawn(command: &mut Command, find: impl Fn(&str) -> Option<String>) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stdin = child.stdin.take().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let address = loop {
            let mut line = String::new();
            assert_ne!(stderr.read_line(&mut line).unwrap(), 0, "the server did not start");
            if let Some(address) = find(&line) {
                break address;
            }
        };
        Self { address, child, pipes: Mutex::new((stdin, stderr)) }
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

/// An address that nobody listens on, for those who cannot say what they got.
pub(crate) fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// Where configurations are written.
pub(crate) fn folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}
