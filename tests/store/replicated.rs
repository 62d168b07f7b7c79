//! Redis as it is run for safety: a primary with a replica behind three sentinels, and a
//! Cluster of three primaries with a replica each. Also behind TLS that asks for a
//! certificate.

use std::path::PathBuf;
use std::process::Command;

use crate::servers::{PASSWORD, Server, folder, free_port, redis};
use crate::support::eventually;

/// A primary, its replica and the sentinels.
pub(crate) struct Sentinel {
    pub(crate) servers: Vec<Server>,
    sentinels: Vec<Server>,
}

impl Sentinel {
    /// `more` is configuration of both servers.
    pub(crate) fn start(more: &str) -> Self {
        let more = format!("{more}\nrepl-diskless-sync-delay 0");
        let primary = redis(&more);
        let replica = redis(&format!("{more}\nreplicaof 127.0.0.1 {}", primary.port));
        let sentinels: Vec<Server> = (0..3).map(|_| sentinel(primary.port)).collect();
        let group = Self { servers: vec![primary, replica], sentinels };
        let ask = |port, section| cli(port, &["info", section]);
        eventually("the replica follows", || {
            ask(group.servers[1].port, "replication").contains("master_link_status:up")
        });
        eventually("every sentinel knows all", || {
            let knows = "slaves=1,sentinels=3";
            group.sentinels.iter().all(|one| ask(one.port, "sentinel").contains(knows))
        });
        group
    }

    pub(crate) fn url(&self) -> String {
        let nodes = self.sentinels.iter().map(|one| format!("127.0.0.1:{}", one.port));
        format!("redis+sentinel://{}/mymaster", nodes.collect::<Vec<_>>().join(","))
    }

    /// The server that is the primary now.
    pub(crate) fn primary(&mut self) -> &mut Server {
        let is_primary = |server: &&mut Server| {
            server.is_running() && cli(server.port, &["role"]).starts_with("master")
        };
        self.servers.iter_mut().find(is_primary).expect("a primary")
    }

    pub(crate) fn has_primary(&self) -> bool {
        let is_primary = |server: &Server| {
            server.is_running() && cli(server.port, &["role"]).starts_with("master")
        };
        self.servers.iter().any(is_primary)
    }

    /// Whether a sentinel names this server as the primary, which clients go by. The first
    /// may be frozen.
    pub(crate) fn names(&self, port: u16) -> bool {
        let question = ["sentinel", "get-master-addr-by-name", "mymaster"];
        let named =
            |one: &Server| cli(one.port, &question).lines().nth(1) == Some(&port.to_string());
        self.sentinels.iter().skip(1).any(named)
    }

    /// The power of the primary fails.
    pub(crate) fn kill_primary(&mut self) {
        self.primary().kill();
    }

    /// A sentinel that answers nothing any more.
    pub(crate) fn freeze_a_sentinel(&self) {
        self.sentinels[0].freeze();
    }
}

fn sentinel(primary: u16) -> Server {
    let (port, folder) = (free_port(), folder("sentinel"));
    let text = format!(
        "bind 127.0.0.1\nport {port}\ndir {}\nsentinel monitor mymaster 127.0.0.1 {primary} 2\n\
         sentinel down-after-milliseconds mymaster 1000\nsentinel failover-timeout mymaster 3000\n",
        folder.display()
    );
    let file = folder.join("sentinel.conf");
    std::fs::write(&file, text).unwrap();
    let command = vec!["redis-server".into(), file.display().to_string(), "--sentinel".into()];
    Server::start(port, folder, command)
}

/// Three primaries and three replicas.
pub(crate) struct Cluster {
    pub(crate) servers: Vec<Server>,
}

impl Cluster {
    pub(crate) fn start() -> Self {
        let server = || {
            redis(&format!(
                "cluster-enabled yes\ncluster-port {}\ncluster-node-timeout 2000\n\
                 cluster-replica-validity-factor 0\nrepl-diskless-sync-delay 0",
                free_port()
            ))
        };
        let servers: Vec<Server> = (0..6).map(|_| server()).collect();
        let addresses = servers.iter().map(|server| format!("127.0.0.1:{}", server.port));
        let mut command = Command::new("redis-cli");
        command.args(["--cluster", "create"]).args(addresses);
        command.args(["--cluster-replicas", "1", "--cluster-yes"]);
        let done = command.output().expect("redis-cli is installed");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
        let cluster = Self { servers };
        eventually("every server agrees", || {
            cluster
                .servers
                .iter()
                .all(|server| cli(server.port, &["cluster", "info"]).contains("cluster_state:ok"))
        });
        eventually("every primary has a replica", || {
            let nodes = cli(cluster.servers[0].port, &["cluster", "nodes"]);
            nodes.lines().filter(|line| line.contains("slave")).count() == 3
        });
        cluster
    }

    pub(crate) fn url(&self) -> String {
        let nodes = self.servers.iter().take(2).map(|one| format!("127.0.0.1:{}", one.port));
        format!("redis+cluster://{}", nodes.collect::<Vec<_>>().join(","))
    }

    /// Moves so many slots from one primary to the next, with what is in them.
    pub(crate) fn reshard(&self, slots: usize) {
        let nodes = self.run(&["cluster", "nodes"]);
        let mut primaries: Vec<(usize, &str)> = nodes
            .lines()
            .filter(|line| line.contains("master"))
            .map(|line| (line.split(' ').skip(8).count(), line.split(' ').next().unwrap()))
            .collect();
        primaries.sort_unstable();
        let (to, from) = (primaries[0].1, primaries[primaries.len() - 1].1);
        let address = format!("127.0.0.1:{}", self.servers[0].port);
        let done = Command::new("redis-cli")
            .args(["--cluster", "reshard", &address, "--cluster-from", from, "--cluster-to", to])
            .args(["--cluster-slots", &slots.to_string(), "--cluster-yes"])
            .output()
            .unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
    }

    /// Runs a command at the server of its key.
    pub(crate) fn run(&self, command: &[&str]) -> String {
        let running = self.servers.iter().find(|server| server.is_running()).unwrap();
        cli(running.port, &[&["-c"], command].concat())
    }

    /// The primary of a key's slot.
    pub(crate) fn owner(&mut self, key: &str) -> &mut Server {
        let said = self.run(&["cluster", "keyslot", key]);
        let slot: u16 = said.trim().parse().unwrap();
        let nodes = self.run(&["cluster", "nodes"]);
        let holds = |line: &&str| {
            line.contains("master") && !line.contains("fail") && line.split(' ').skip(8).any(|range| {
                let (first, last) = range.split_once('-').unwrap_or((range, range));
                let read = |text: &str| text.parse::<u16>().ok();
                matches!((read(first), read(last)), (Some(first), Some(last)) if (first..=last).contains(&slot))
            })
        };
        let line = nodes.lines().find(holds).unwrap_or_else(|| panic!("{slot}: {nodes}"));
        let address = line.split(' ').nth(1).unwrap().split('@').next().unwrap();
        let port: u16 = address.rsplit(':').next().unwrap().parse().unwrap();
        self.servers.iter_mut().find(|server| server.port == port).unwrap()
    }
}

/// The output of redis-cli.
pub(crate) fn cli(port: u16, arguments: &[&str]) -> String {
    let port = port.to_string();
    let done = Command::new("redis-cli").args(["-p", &port]).args(arguments).output();
    String::from_utf8(done.expect("redis-cli is installed").stdout).unwrap()
}

/// A server that wants TLS with a certificate from its clients, and the settings for it
/// in an address.
pub(crate) fn redis_with_client_certificates() -> (Server, String, PathBuf) {
    let (files, port) = (folder("client-tls"), free_port());
    crate::access::certificates(&files);
    let at = files.display();
    let server = redis(&format!(
        "tls-port {port}\ntls-cert-file {at}/own.pem\ntls-key-file {at}/own.key\n\
         tls-ca-cert-file {at}/ca.pem\ntls-auth-clients yes\n\
         user default on nopass ~* +@all\nuser gate on >{PASSWORD} ~* +@all"
    ));
    let with = format!("?ca={at}/ca.pem&cert={at}/own.pem&key={at}/own.key");
    let url = format!("rediss://gate:{PASSWORD}@127.0.0.1:{port}/0");
    (server, format!("{url}{with}"), files)
}
