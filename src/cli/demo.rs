//! `portcullis demo`: a sample app with a login page, the gateway in front,
//! random secrets. Needs no set-up and writes nothing.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::process::ExitCode;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::output::{CONFIGURATION, eprint, print};
use super::run;
use crate::base::clock::Clock;
use crate::base::secret::{Secret, Secrets};
use crate::config::{Config, Format, Listen, ServerSettings};
use crate::demo::{self, API_KEY, MAX_BODY, SESSION_SECRET, SampleApp};
use crate::server::{BindError, Listeners, SignalHandlers, serve_alone};

/// The demo's address, unless another process listens there.
const USUAL_ADDRESS: &str = "127.0.0.1:8080";
const ANY_PORT: Listen = Listen::Tcp(SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0)));

pub(super) fn demo() -> ExitCode {
    let secret = random(32);
    let dashboard = Arc::default();
    let app = SampleApp::new(Secret::new(secret.clone()), Clock::system());
    let app = app.with_dashboard(&dashboard);
    let answer = move |request: &_| app.answer(request);
    let app_address = match serve_alone("app", MAX_BODY, answer, &ANY_PORT) {
        Ok(address) => address,
        Err(error) => {
            eprint(error);
            return ExitCode::FAILURE;
        }
    };
    let settings = |listen: &str| demo::settings(&app_address, listen);
    let key = format!(
        "PRTV_{}_{}",
        random(9).replace(['-', '_'], "x"),
        random(24).replace(['-', '_'], "x")
    );
    let literal = settings(USUAL_ADDRESS).replace(SESSION_SECRET, &secret).replace(API_KEY, &key);
    let mut config = match Config::read(&literal, &Secrets::Literal) {
        Ok(config) => config,
        Err(problems) => {
            // A test reads the demo's settings, so this build is broken.
            problems.iter().for_each(|problem| eprint(problem.display("demo", "")));
            return ExitCode::from(CONFIGURATION);
        }
    };
    config.server.admin = Some(ANY_PORT);
    config.log.format = Some(Format::Text);
    config.log.level = tracing::Level::WARN;
    let caught = SignalHandlers::but_hangups();
    let listeners = match bind(&mut config.server) {
        Ok(listeners) => listeners,
        Err(errors) => {
            errors.iter().for_each(eprint);
            return ExitCode::FAILURE;
        }
    };
    // Only now: the reader may open the address at once.
    let listen: String = listeners.addresses().collect();
    let admin = listeners.admin_address().unwrap_or_default();
    dashboard.get_or_init(|| format!("http://{admin}/"));
    print(introduction(&settings(&listen), &listen, &admin));
    run::serve_on(listeners, caught, config, None)
}

/// The usual port, or any other that is free.
fn bind(server: &mut ServerSettings) -> Result<Listeners, Vec<BindError>> {
    Listeners::bind(server).or_else(|_| {
        server.listen = vec![ANY_PORT];
        Listeners::bind(server)
    })
}

fn introduction(settings: &str, listen: &str, admin: &str) -> String {
    let indented: String = settings.lines().map(|line| format!("    {line}\n")).collect();
    format!(
        "A sample app is running behind Portcullis. The gateway's whole configuration:\n\n{indented}\n\
         Open http://{listen}/ and sign in with any name. Ctrl-C stops both.\n\
         The gateway's dashboard is http://{admin}/ and shows what you do.\n"
    )
}

/// Random text that carries `bytes` bytes of randomness.
fn random(bytes: usize) -> String {
    let mut buffer = vec![0; bytes];
    // The generator fails only where the system has no randomness at all; a zero secret
    // then harms only the demo.
    let _ = aws_lc_rs::rand::fill(&mut buffer);
    URL_SAFE_NO_PAD.encode(buffer)
}
