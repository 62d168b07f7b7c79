//! `portcullis demo`: a sample app with a login page, the gateway in front,
//! random secrets. Needs no set-up and writes nothing.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::ExitCode;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{CONFIGURATION, complain, print, run};
use crate::clock::Clock;
use crate::config::{Config, Format, Listen};
use crate::demo::{self, API_KEY, SESSION_SECRET, SampleApp};
use crate::secret::{Secret, Secrets};
use crate::server::serve_alone;

/// Where the demo is found, if nothing else listens there.
const USUAL_PORT: u16 = 8080;

pub(super) fn demo() -> ExitCode {
    let secret = random(32);
    let app = demo::service(SampleApp::new(Secret::new(secret.clone()), Clock::system()), "app");
    let app_address =
        match serve_alone(app, &Listen::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))) {
            Ok(address) => address,
            Err(error) => {
                complain(error);
                return ExitCode::FAILURE;
            }
        };
    let listen = format!("127.0.0.1:{}", free_port());
    let settings = demo::settings(&app_address, &listen);
    let key = format!(
        "PRTV_{}_{}",
        random(9).replace(['-', '_'], "x"),
        random(24).replace(['-', '_'], "x")
    );
    let literal = settings.replace(SESSION_SECRET, &secret).replace(API_KEY, &key);
    let mut config = match Config::read(&literal, &Secrets::Literal) {
        Ok(config) => config,
        Err(problems) => {
            // A test reads the demo's settings, so this is a build gone wrong.
            problems.iter().for_each(|problem| complain(problem.display("demo", "")));
            return ExitCode::from(CONFIGURATION);
        }
    };
    config.server.admin = None;
    config.log.format = Some(Format::Text);
    config.log.level = tracing::Level::WARN;
    print(introduction(&settings, &listen));
    run::start(config, None)
}

fn introduction(settings: &str, listen: &str) -> String {
    let indented: String = settings.lines().map(|line| format!("    {line}\n")).collect();
    format!(
        "A sample app is running behind Portcullis. The gateway's whole configuration:\n\n{indented}\n\
         Open http://{listen}/ and sign in with any name. Ctrl-C stops both.\n"
    )
}

/// The usual port, or any other that is free.
fn free_port() -> u16 {
    let bind = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    let socket = bind(USUAL_PORT).or_else(|_| bind(0));
    socket.and_then(|socket| socket.local_addr()).map_or(USUAL_PORT, |address| address.port())
}

/// Random text that carries `bytes` bytes of randomness.
fn random(bytes: usize) -> String {
    let mut buffer = vec![0; bytes];
    // The generator fails only where the system has no randomness at all; a
    // zero secret then harms nobody but the demo.
    let _ = aws_lc_rs::rand::fill(&mut buffer);
    URL_SAFE_NO_PAD.encode(buffer)
}
