//! Addresses that two listeners of one file cannot both have.

use std::net::SocketAddr;

use super::listen::Listen;
use super::server::ServerSettings;
use crate::document::{At, Value};

/// One listener, and the setting that names it, if it is written.
struct Named<'l, 'a> {
    setting: &'static str,
    listen: &'l Listen,
    at: Option<At<'a>>,
}

/// Notes each address that cannot be bound because another listener of the file has it.
pub(super) fn check(server: &ServerSettings, tables: &[Option<At<'_>>; 2]) {
    let [of_server, of_auth] = tables;
    let all: Vec<_> = named("server.listen", &server.listen, of_server.as_ref())
        .chain(named("server.redirect", &server.redirect, of_server.as_ref()))
        .chain(named("auth.listen", &server.auth, of_auth.as_ref()))
        .chain(named("server.admin", server.admin.as_slice(), of_server.as_ref()))
        .collect();
    for (index, one) in all.iter().enumerate() {
        for other in all.iter().take(index).filter(|other| overlap(one.listen, other.listen)) {
            note(one, other);
        }
    }
}

fn named<'l, 'a>(
    setting: &'static str,
    listen: &'l [Listen],
    table: Option<&At<'a>>,
) -> impl Iterator<Item = Named<'l, 'a>> + use<'l, 'a> {
    let table = table.filter(|at| matches!(at.node.value, Value::Table(_)));
    let mut members = table.map(At::members).unwrap_or_default().into_iter();
    let at = members.find(|(key, _)| setting.ends_with(&format!(".{}", key.name)));
    let at = at.map(|(_, at)| at);
    listen.iter().map(move |listen| Named { setting, listen, at: at.clone() })
}

/// At the one that is written; two defaults never meet.
fn note(one: &Named<'_, '_>, other: &Named<'_, '_>) {
    let (written, by, other) = match (&one.at, &other.at) {
        (Some(at), _) => (at, one, other),
        (None, Some(at)) => (at, other, one),
        (None, None) => return,
    };
    let (found, theirs, setting) = (by.listen, other.listen, other.setting);
    let default = if other.at.is_none() { ", its default" } else { "" };
    written.problem(format!(
        "found {found}, but `{setting}` already listens on {theirs}{default}; write another port"
    ));
}

/// Whether one of two sockets could not be bound beside the other. The system chooses a
/// port for 0; every address of a machine includes each single one, and `[::]` those of
/// IPv4.
fn overlap(one: &Listen, other: &Listen) -> bool {
    match (one, other) {
        (Listen::Unix(one), Listen::Unix(other)) => one == other,
        (Listen::Unix(_), _) | (_, Listen::Unix(_)) => false,
        (Listen::Tcp(one) | Listen::Tls(one), Listen::Tcp(other) | Listen::Tls(other)) => {
            one.port() == other.port()
                && one.port() != 0
                && (one.ip().to_canonical() == other.ip().to_canonical()
                    || includes(one, other)
                    || includes(other, one))
        }
    }
}

fn includes(all: &SocketAddr, one: &SocketAddr) -> bool {
    all.ip().is_unspecified() && (all.is_ipv6() || one.ip().to_canonical().is_ipv4())
}

#[cfg(test)]
mod tests {
    use crate::base::secret::Secrets;
    use crate::config::Config;

    fn problems(tables: &str) -> Vec<String> {
        let text = format!("{tables}\n[upstream]\nservers = \"http://127.0.0.1:3000\"\n");
        let problems = Config::read(&text, &Secrets::Literal).err().unwrap_or_default();
        problems.iter().map(|it| it.display("gateway.toml", &text).to_string()).collect()
    }

    #[test]
    fn two_listeners_of_a_file_cannot_have_one_address() {
        for (server, auth) in [
            ("listen = \"127.0.0.1:8080\"", Some("127.0.0.1:8080")),
            ("listen = \"0.0.0.0:8080\"", Some("127.0.0.1:8080")),
            ("listen = \"127.0.0.1:8080\"", Some("0.0.0.0:8080")),
            ("listen = \"[::]:8080\"", Some("127.0.0.1:8080")),
            ("listen = \"[::]:8080\"", Some("0.0.0.0:8080")),
            ("listen = \"[::]:8080\"", Some("[::1]:8080")),
            ("listen = \"[::ffff:127.0.0.1]:8080\"", Some("127.0.0.1:8080")),
            ("listen = \"unix:/run/a.sock\"", Some("unix:/run//a.sock")),
            ("listen = \"127.0.0.1:9090\"", None),
            ("listen = \"0.0.0.0:9090\"", None),
            ("listen = \"127.0.0.1:9191\"\nadmin = false", Some("")),
            ("admin = \"127.0.0.1:8080\"", None),
            ("admin = \"unix:/run/a.sock\"\nlisten = \"unix:/run/a.sock\"", None),
            ("listen = [\"127.0.0.1:8080\", \"127.0.0.1:8080\"]", None),
            ("listen = [\"0.0.0.0:8080\", \"[::]:8080\"]", None),
        ] {
            let auth = auth.map_or_else(String::new, |auth| match auth {
                "" => "[auth]".to_owned(),
                auth => format!("[auth]\nlisten = \"{auth}\""),
            });
            let text = format!("[server]\n{server}\n{auth}");
            let said = problems(&text);
            let [problem] = &said[..] else { panic!("{text}\n{said:#?}") };
            assert!(problem.contains("already listens on"), "{problem}");
        }
    }

    #[test]
    fn the_problem_names_both_settings_at_the_written_one() {
        let said = problems("[server]\nlisten = \"0.0.0.0:9090\"");
        assert_eq!(
            said,
            ["gateway.toml:2:10: server.listen: found 0.0.0.0:9090, but `server.admin` already \
              listens on 127.0.0.1:9090, its default; write another port"]
        );
    }

    #[test]
    fn addresses_of_different_ports_hosts_or_kinds_do_not_meet() {
        for tables in [
            "[server]\nlisten = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n[auth]\nlisten = \"127.0.0.1:0\"",
            "[server]\nlisten = [\"127.0.0.1:8080\", \"127.0.0.2:8080\", \"[::1]:8080\"]",
            "[server]\nlisten = [\"0.0.0.0:8080\", \"[::1]:8080\"]",
            "[server]\nlisten = \"unix:/run/a.sock\"\nadmin = \"unix:/run/b.sock\"",
            "[server]\nlisten = \"127.0.0.1:9090\"\nadmin = false",
        ] {
            assert_eq!(problems(tables), Vec::<String>::new(), "{tables}");
        }
    }
}
