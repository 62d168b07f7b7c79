//! Files that change while the gateway runs: read again by themselves, all or
//! nothing.

use std::fs;
use std::os::unix::fs::symlink;

use crate::support::running::{Running, file_of};
use crate::support::tls::{Authority, certificate};
use crate::support::{
    App, Conn, SESSION_SECRET, Setup, assert_no_secret, eventually, folder, get, replace,
};

/// The session's secret in a file, where containers mount it.
fn text(setup: &Setup) -> String {
    file_of(setup).replace("env:SESSION_SECRET", "file:secrets/session")
}

fn start(setup: &Setup) -> Running {
    let folder = folder();
    fs::create_dir(folder.join("first")).unwrap();
    fs::write(folder.join("first/session"), SESSION_SECRET).unwrap();
    symlink("first", folder.join("secrets")).unwrap();
    Running::start_as(&folder.join("gateway.toml"), &text(setup), &[])
}

fn setup(app: &App, lines: &str) -> Setup {
    Setup::new(app).server(&format!("watch = \"50ms\"\n{lines}"))
}

#[test]
fn a_changed_file_is_read_and_a_bad_one_changes_nothing() {
    let app = App::start();
    let running = start(&setup(&app, ""));
    let mut kept = Conn::open(&running.address);
    assert_eq!(kept.ask(&get("/new/x")).status, 200);
    let route = "[[route]]\npath = \"/new/**\"\nsession = \"required\"\n";
    replace(&running.file, text(&setup(&app, "").with(route)));
    eventually("the new policy", || running.page("/new/x") == 401);
    assert_eq!(kept.ask(&get("/new/x")).status, 401, "on the connection from before");
    let bad = text(&setup(&app, "")).replace("30/minute", "often").replace("1m", "60");
    replace(&running.file, format!("{bad}\n[unknown]\n"));
    eventually("the refusal", || running.reloads("refused") == 1);
    for what in ["token.portive.limit", "token.portive.ttl", "unknown"] {
        eventually(what, || running.process.errors().contains(what));
    }
    assert_eq!(running.page("/new/x"), 401, "the old policy stays");
    replace(&running.file, text(&setup(&app, "")));
    eventually("the policy after that", || running.page("/new/x") == 200);
    eventually("the count", || running.reloads("ok") == 2);
    assert_eq!(running.reloads("refused"), 1, "each change once");
    assert_no_secret("standard error", running.process.errors().as_bytes());
}

#[test]
fn a_secret_that_is_swapped_by_a_link_is_read_again() {
    let app = App::start();
    let running = start(&setup(&app, ""));
    let beside = |name| running.file.with_file_name(name);
    assert_eq!(running.token("ada"), 200);
    // As container platforms mount a new version of a secret.
    fs::create_dir(beside("second")).unwrap();
    fs::write(beside("second/session"), "canary-of-another-session-secret").unwrap();
    symlink("second", beside("next")).unwrap();
    fs::rename(beside("next"), beside("secrets")).unwrap();
    eventually("the new secret", || running.token("ada") == 401);
    fs::remove_file(beside("secrets")).unwrap();
    eventually("the refusal", || running.reloads("refused") == 1);
    assert_eq!(running.token("ada"), 401);
    symlink("first", beside("secrets")).unwrap();
    eventually("the old secret", || running.token("ada") == 200);
}

#[test]
fn a_secret_is_rotated_while_requests_go_on_as_the_kubelet_does_it() {
    let (app, folder) = (App::start(), folder());
    let mount = folder.join("secrets");
    let version = |name: &str, secret: &str| {
        fs::create_dir_all(mount.join(name)).unwrap();
        fs::write(mount.join(name).join("session"), secret).unwrap();
        symlink(name, mount.join("..data_tmp")).unwrap();
        fs::rename(mount.join("..data_tmp"), mount.join("..data")).unwrap();
    };
    version("..2026_11_28_1", SESSION_SECRET);
    symlink("..data/session", mount.join("session")).unwrap();
    let text = text(&setup(&app, ""));
    let running = Running::start_as(&folder.join("gateway.toml"), &text, &[]);
    let mut kept = Conn::open(&running.address);
    let mut ask = || kept.ask(&get("/api/get-auth-token").user("ada")).status;
    assert_eq!(ask(), 200);
    version("..2026_11_28_2", "canary-of-another-session-secret");
    fs::remove_dir_all(mount.join("..2026_11_28_1")).unwrap();
    eventually("the new secret", || ask() == 401);
    version("..2026_11_28_3", SESSION_SECRET);
    eventually("the old secret", || ask() == 200);
    eventually("the count", || running.reloads("ok") == 2);
    assert_eq!(running.reloads("refused"), 0);
}

#[test]
fn a_renewed_certificate_is_shown_without_a_signal() {
    let (app, authority) = (App::start(), Authority::new());
    let (files, renewed) = (authority.issue(&["app.test"]), authority.issue(&["app.test"]));
    let running = start(&setup(&app, &format!("tls = [{}]", files.item())));
    let client = authority.client();
    let mut kept = client.open(&running.address, "app.test");
    assert_eq!(kept.ask(&get("/x")).status, 200);
    files.become_like(&renewed);
    eventually("the new certificate", || {
        client.shown(&running.address, "app.test") == certificate(&renewed.cert)
    });
    assert_eq!(kept.ask(&get("/x")).status, 200);
}

#[test]
fn without_watching_only_the_signal_counts() {
    let app = App::start();
    let off = || Setup::new(&app).server("watch = false");
    let running = start(&off());
    let route = "[[route]]\npath = \"/new/**\"\nsession = \"required\"\n";
    replace(&running.file, text(&off().with(route)));
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert_eq!(running.page("/new/x"), 200);
    running.signal("HUP");
    eventually("the new policy", || running.page("/new/x") == 401);
}
