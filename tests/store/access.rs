//! Ways into a store: users, database numbers, TLS; and the commands that say
//! what is in the way.

use std::path::Path;
use std::process::Command;

use redis::Commands as _;

use crate::app::cookie;
use crate::servers::{PASSWORD, Server, folder, free_port, redis};
use crate::support::{App, Process};

const ID: &str = "zRVwr7nsgjeUE4j4QHXINTzcxVVPXztC";
const SECRET: &str = "canary-of-the-session-0123456789abcdef";

/// Runs a command on a file whose session store is at `url`.
fn run(
    arguments: &[&str],
    url: &str,
    upstream: &str,
    more: &[(&str, &str)],
) -> (i32, String, String) {
    let folder = folder("command");
    let file = folder.join("gateway.toml");
    let text = format!(
        "[upstream]\nservers = [{upstream:?}]\n[session]\nkind = \"express-session\"\n\
         secret = \"env:SECRET\"\n[session.store]\nengine = \"redis\"\nurl = \"env:STORE\"\ntimeout = \"10s\"\n"
    );
    std::fs::write(&file, text).unwrap();
    let arguments = [arguments, &["--config", file.to_str().unwrap()]].concat();
    let environment = [&[("SECRET", SECRET), ("STORE", url)], more].concat();
    let done = Process::finish(&arguments, &environment);
    std::fs::remove_dir_all(folder).unwrap();
    assert!(!done.1.contains("canary") && !done.2.contains("canary"), "{done:?}");
    done
}

fn session(url: &str, more: &[(&str, &str)]) -> serde_json::Value {
    let sent = cookie(ID);
    let arguments = ["session", "--json", "--cookie", sent.as_str()];
    let (_, output, errors) = run(&arguments, url, "http://127.0.0.1:1", more);
    serde_json::from_str(&output).unwrap_or_else(|_| panic!("{output}{errors}"))
}

#[test]
fn a_user_of_redis_who_may_only_read_sessions_is_enough() {
    let users =
        format!("user default off\nuser gate on >{PASSWORD} ~sess:* +select +getrange +pttl");
    let admin = format!("user admin on >{PASSWORD} ~* +@all");
    let server = redis(&format!("{users}\n{admin}"));
    let url = |user: &str, number: u8| {
        format!("redis://{user}:{PASSWORD}@127.0.0.1:{}/{number}", server.port)
    };
    let mut client = redis::Client::open(url("admin", 3)).unwrap().get_connection().unwrap();
    let () = client.set(format!("sess:{ID}"), r#"{"passport":{"user":"ada"}}"#).unwrap();
    assert_eq!(session(&url("gate", 3), &[])["user_id"], "ada");
    assert_eq!(session(&url("gate", 0), &[])["reason"], "store_miss", "another database");
    let wrong = session(&url("gate", 3).replace(PASSWORD, "canary-wrong"), &[]);
    assert_eq!(wrong["reason"], "unavailable");
    assert_eq!(wrong["detail"], "the store does not accept the user or password");
}

/// A certificate of an authority of our own, for `127.0.0.1`.
pub(crate) fn certificates(folder: &Path) {
    let openssl = |line: &str| {
        let done = Command::new("openssl").args(line.split(' ')).current_dir(folder).output();
        let done = done.expect("openssl is installed");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    };
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    openssl(&format!("req -x509 {key} -keyout ca.key -out ca.pem -subj /CN=test -days 3650"));
    openssl(&format!("req {key} -keyout own.key -out own.csr -subj /CN=redis"));
    std::fs::write(folder.join("names"), "subjectAltName=IP:127.0.0.1\n").unwrap();
    openssl(
        "x509 -req -in own.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out own.pem -days 3650 -extfile names",
    );
}

#[test]
fn a_store_behind_tls_is_believed_only_with_a_valid_certificate() {
    let (files, port) = (folder("tls"), free_port());
    certificates(&files);
    let folder = files.display();
    let server: Server = redis(&format!(
        "tls-port {port}\ntls-cert-file {folder}/own.pem\ntls-key-file {folder}/own.key\n\
         tls-ca-cert-file {folder}/ca.pem\ntls-auth-clients no"
    ));
    let () =
        server.redis_client().set(format!("sess:{ID}"), r#"{"passport":{"user":"ada"}}"#).unwrap();
    let url = format!("rediss://127.0.0.1:{port}");
    let authority = files.join("ca.pem");
    let trusted = [("SSL_CERT_FILE", authority.to_str().unwrap())];
    assert_eq!(session(&url, &trusted)["user_id"], "ada");
    assert_eq!(session(&url, &[])["reason"], "unavailable", "an authority nobody knows");
    let wrong_name = url.replace("127.0.0.1", "localhost");
    assert_eq!(session(&wrong_name, &trusted)["reason"], "unavailable");
    std::fs::remove_dir_all(files).unwrap();
}

#[test]
fn check_online_says_what_does_not_answer_and_offline_does_not_care() {
    let (app, server) = (App::start(), redis(""));
    let store = server.url("redis");
    assert_eq!(
        run(&["check", "--online"], &store, &app.url(), &[]),
        (0, "ok\n".into(), String::new())
    );
    let (closed, nobody) = (free_port(), free_port());
    let upstream = format!("http://127.0.0.1:{closed}");
    let store = format!("redis://:{PASSWORD}@127.0.0.1:{nobody}");
    assert_eq!(run(&["check"], &store, &upstream, &[]).0, 0);
    let (code, output, errors) = run(&["check", "--online"], &store, &upstream, &[]);
    assert_eq!((code, output.as_str()), (2, ""));
    let expected = [
        format!("upstream: {upstream}: cannot be connected to"),
        "session express-session: store (redis): cannot connect to the store".to_owned(),
    ];
    assert_eq!(errors.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn a_wrong_address_is_a_problem_of_the_file() {
    let (code, _, errors) = run(&["check"], "postgres://u:canary@h/d", "http://127.0.0.1:1", &[]);
    assert_eq!(code, 2);
    assert!(errors.contains("session: the store's `url` cannot be used"), "{errors}");
    assert!(errors.contains("it is that of a database, expected a Redis server"), "{errors}");
}
