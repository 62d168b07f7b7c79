//! A server of a Cluster that asks to be asked again (`TRYAGAIN`): a real one says so for
//! moments that no test can hold, so this one is made up, and speaks as much RESP as needed.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::replicas::shared;
use crate::support::{App, Setup};

/// Times a limit's question is put off before it is answered.
const PUT_OFF: usize = 3;

struct FakeCluster {
    port: u16,
    asked: Arc<AtomicUsize>,
}

impl FakeCluster {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(AtomicUsize::new(0));
        let ours = asked.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let ours = ours.clone();
                std::thread::spawn(move || serve(stream.unwrap(), port, &ours));
            }
        });
        Self { port, asked }
    }
}

/// Answers command after command until the connection ends.
fn serve(stream: TcpStream, port: u16, asked: &AtomicUsize) -> Option<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let count = number(&mut stream, '*')?;
        let words = (0..count).map(|_| word(&mut stream)).collect::<Option<Vec<_>>>()?;
        let answer = answer(&words, port, asked);
        stream.get_mut().write_all(answer.as_bytes()).ok()?;
    }
}

fn number(stream: &mut BufReader<TcpStream>, kind: char) -> Option<usize> {
    let mut line = String::new();
    stream.read_line(&mut line).ok()?;
    line.trim_end().strip_prefix(kind)?.parse().ok()
}

fn word(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let mut bytes = vec![0; number(stream, '$')? + 2];
    stream.read_exact(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).trim_end().to_owned())
}

fn answer(words: &[String], port: u16, asked: &AtomicUsize) -> String {
    let is_limit = words.get(3).is_some_and(|key| key.contains(":l:"));
    match words[0].to_uppercase().as_str() {
        "CLUSTER" => format!("*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$9\r\n127.0.0.1\r\n:{port}\r\n"),
        "EVALSHA" if is_limit && asked.fetch_add(1, Ordering::SeqCst) < PUT_OFF => {
            "-TRYAGAIN Multiple keys request during rehashing of slot\r\n".to_owned()
        }
        "EVALSHA" if is_limit => "*3\r\n:1\r\n:0\r\n:2000000\r\n".to_owned(),
        "EVALSHA" => "*2\r\n:1\r\n:1\r\n".to_owned(),
        "XRANGE" | "XREVRANGE" => "*0\r\n".to_owned(),
        "XREAD" => {
            std::thread::sleep(Duration::from_millis(200));
            "*-1\r\n".to_owned()
        }
        _ => "+OK\r\n".to_owned(),
    }
}

#[test]
fn a_server_that_asks_to_be_asked_again_is_asked_again() {
    let (app, cluster) = (App::start(), FakeCluster::start());
    let url = format!("redis+cluster://127.0.0.1:{}", cluster.port);
    let tables = shared(&url, "timeout = \"2s\"");
    let gateway = Setup::new(&app).token("limit = \"30/minute\"").with(&tables).start();
    let answer = gateway.token("ada");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("ratelimit"), Some("\"portive\";r=29;t=2"));
    assert_eq!(cluster.asked.load(Ordering::SeqCst), PUT_OFF + 1);
    assert_eq!(gateway.metric("portcullis_shared_uncounted_total "), 0);
    assert_eq!(gateway.metric("portcullis_shared_failures_total "), 0);
}
