//! Another program takes over the sockets: nobody is refused, and one that does
//! not get that far changes nothing.

use std::io::ErrorKind;
use std::net::TcpStream;

use crate::support::running::{Running, file_of, is_running};
use crate::support::{App, Conn, PATIENCE, Setup, Stopwatch, eventually, folder, get, replace};

#[test]
fn a_program_that_does_not_start_changes_nothing() {
    let app = App::start();
    let running = Running::start(&Setup::new(&app).server("watch = false"));
    let good = std::fs::read_to_string(&running.file).unwrap();
    let mut kept = Conn::open(&running.address);
    assert_eq!(kept.ask(&get("/x")).status, 200);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = format!("listen = [\"127.0.0.1:0\", \"{}\"]", taken.local_addr().unwrap());
    for (count, text) in [
        "not toml [".to_owned(),
        good.replace("env:SESSION_SECRET", "env:NOT_SET"),
        good.replacen("listen = \"127.0.0.1:0\"", &taken, 1),
    ]
    .into_iter()
    .enumerate()
    {
        replace(&running.file, text);
        running.signal("USR2");
        eventually("the refusal", || {
            running.lines("not replaced; this process goes on serving").len() > count
        });
        assert_eq!(running.page("/x"), 200);
        assert_eq!(kept.ask(&get("/x")).status, 200, "on the connection from before");
    }
    eventually("the reason, which it says itself", || running.process.errors().contains("NOT_SET"));
    replace(&running.file, good);
    running.upgrade();
    assert_eq!(running.page("/x"), 200);
}

#[test]
fn a_successor_may_listen_elsewhere_too_and_serves_by_its_own_file() {
    let app = App::start();
    let running = Running::start(&Setup::new(&app).server("watch = false"));
    let socket = running.file.with_file_name("gateway.sock");
    let route = "[[route]]\npath = \"/new/**\"\nsession = \"required\"\n";
    let more = format!("listen = [\"127.0.0.1:0\", \"unix:{}\"]", socket.display());
    let next = file_of(&Setup::new(&app).server("watch = false").with(route));
    let next = next.replacen("listen = \"127.0.0.1:0\"", &more, 1);
    replace(&running.file, next);
    let mut slow = Conn::open(&running.address);
    slow.write(&get("/do/slow").bytes());
    app.wait_for(1);
    let old = running.pid();
    running.begin_upgrade();
    eventually("the new policy", || running.page("/new/x") == 401);
    assert_eq!(Conn::open(socket.to_str().unwrap()).ask(&get("/x")).status, 200);
    assert!(is_running(&old), "a request is in flight");
    app.open_gate();
    assert_eq!(slow.response_to("GET").text(), "slow but sure");
    eventually("the end of the old one", || !is_running(&old));
    assert_eq!(running.page("/new/x"), 401);
    assert_eq!(running.admin("/readyz").0, 200);
}

#[test]
fn the_service_manager_learns_who_serves() {
    let app = App::start();
    let file = folder().join("gateway.toml");
    let manager = file.with_file_name("notify.sock");
    let notices = std::os::unix::net::UnixDatagram::bind(&manager).unwrap();
    notices.set_read_timeout(Some(PATIENCE)).unwrap();
    let next = || {
        let mut bytes = [0; 256];
        let length = notices.recv(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..length]).trim().to_owned()
    };
    let text = file_of(&Setup::new(&app).server("watch = false"));
    let told = [("NOTIFY_SOCKET", manager.to_str().unwrap())];
    let running = Running::start_as(&file, &text, &told);
    assert_eq!(next(), "READY=1");
    running.upgrade();
    let mut notices = [next(), next()];
    notices.sort();
    assert_eq!(notices, [format!("MAINPID={}", running.pid()), "READY=1".to_owned()]);
    running.signal("TERM");
    assert_eq!(next(), "STOPPING=1");
}

/// Both processes get the signal when systemd stops the unit.
#[test]
fn a_replaced_process_still_finishes_its_requests_when_the_gateway_is_told_to_stop() {
    for (signal, again, code) in [("TERM", None, 0), ("INT", None, 0), ("TERM", Some("INT"), 130)] {
        let app = App::start();
        let mut running = Running::start(&Setup::new(&app).server("drain = \"1h\""));
        let mut slow = Conn::open(&running.address);
        slow.write(&get("/do/slow").bytes());
        app.wait_for(1);
        running.begin_upgrade();
        running.process.signal(signal);
        running.signal(signal);
        let stopping = || running.lines("stopping; signal again to stop at once").len();
        eventually("the end of the successor", || !is_running(&running.pid()));
        eventually("the signal at the old one", || stopping() == 2);
        if let Some(again) = again {
            running.process.signal(again);
        } else {
            assert!(running.process.is_running(), "a request is in flight");
            app.open_gate();
            assert_eq!(slow.response_to("GET").text(), "slow but sure");
        }
        assert_eq!(running.process.wait().code(), Some(code), "{signal} {again:?}");
    }
}

/// The successor holds the same sockets: what the old process does to them must not reach it.
#[test]
fn a_signal_to_stop_during_an_upgrade_leaves_a_gateway_that_serves_or_none() {
    const STEPS: u32 = 12;
    let app = App::start();
    let start = || Running::start(&Setup::new(&app).server("watch = false"));
    let running = start();
    let watch = Stopwatch::start();
    running.begin_upgrade();
    let longest = watch.on_the_wall();
    for delay in (0..=STEPS).map(|step| longest * step / STEPS) {
        let mut running = start();
        running.signal("USR2");
        std::thread::sleep(delay);
        running.signal("TERM");
        assert_eq!(running.process.wait().code(), Some(0), "after {delay:?}");
        let is_refused = |address: &str| {
            let socket = TcpStream::connect_timeout(&address.parse().unwrap(), PATIENCE);
            socket.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
        };
        eventually("its last words", || running.lines("drained").len() == 1);
        if running.learn_successor() {
            assert_eq!(running.page("/x"), 200, "after {delay:?}");
            assert_eq!(running.admin("/readyz").0, 200, "after {delay:?}");
        } else {
            assert!(is_refused(&running.address), "after {delay:?}");
            assert!(is_refused(&running.admin), "after {delay:?}");
        }
    }
}
