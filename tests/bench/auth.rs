//! Forward auth behind nginx: what the gateway's answer costs beside one that costs as little
//! as any.
//!
//! Each side is an nginx of its own that asks with `auth_request` and forwards a small page.
//! Two ratios have a bar, and the run ends with status 1 below it:
//!
//! * the endpoint, 0.9: the processor time of nginx and of what it asks, without the app;
//!   beside a bare Pingora that answers 200 and looks at nothing.
//! * the whole page, 0.8: by the clock, because there the waiting counts; beside an nginx
//!   that asks a static server. Wants a calm machine.
//!
//! The page beside an nginx that asks nobody (`return 204`) is printed without a bar: it says
//! what asking itself costs.

use std::time::Instant;

use crate::cookies::{Kind, Visitor};
use crate::load::{CONNECTIONS, Connections, get};
use crate::process::Process;
use crate::{Effort, median};

/// nginx, and what it asks.
struct Front {
    nginx: Process,
    asked: Option<Process>,
}

const QUESTION: &str = r#"
            internal; proxy_http_version 1.1; proxy_set_header Connection "";
            proxy_pass_request_body off; proxy_set_header Content-Length "";
            proxy_set_header Host $host; proxy_set_header X-Original-Method $request_method;
            proxy_set_header X-Original-URI $request_uri; proxy_set_header X-Forwarded-For $remote_addr;"#;
/// The cost of an answer to nginx, whichever server gave it.
const USE: &str = "auth_request /_ask; auth_request_set $user $upstream_http_x_auth_user; \
     proxy_set_header X-Auth-User $user;";

impl Front {
    fn new(app: &Process, asked: Option<(Process, &str)>) -> Option<Self> {
        let (upstream, ask) = asked.as_ref().map_or_else(
            || (String::new(), "internal; return 204;".to_owned()),
            |(asked, path)| {
                let kept = "keepalive 128; keepalive_requests 1000000000;";
                let upstream = format!("upstream asked {{ server {}; {kept} }}", asked.address);
                (upstream, format!("{QUESTION} proxy_pass http://asked{path};"))
            },
        );
        let server = format!("location = /_ask {{ {ask} }}");
        let nginx = Process::nginx_asking(&app.address, &upstream, &server, USE)?;
        Some(Self { nginx, asked: asked.map(|(asked, _)| asked) })
    }

    /// Seconds of processor time, and by the clock, that `work` takes.
    fn seconds_for(&self, work: impl FnOnce()) -> (f64, f64) {
        let began = Instant::now();
        let mut of_asked = 0.0;
        let of_nginx = self.nginx.seconds_for(|| match &self.asked {
            Some(asked) => of_asked = asked.seconds_for(work),
            None => work(),
        });
        (of_nginx + of_asked, began.elapsed().as_secs_f64())
    }
}

/// What is held against a bar.
#[derive(Clone, Copy)]
enum Bar {
    Clock(f64),
    None,
    Processor(f64),
}

/// Whether both bars hold.
pub(crate) fn holds(effort: &Effort) -> bool {
    let app = Process::start("fixed", &[]);
    let cookies = Kind::Jwt.cookies(&Visitor::number(1));
    let page = get("/bytes/1024", &cookies);
    let gateway = || Front::new(&app, Some((Process::gateway_asked(&app.address), "/auth/nginx")));
    let bare = || Front::new(&app, Some((Process::start("fixed", &[]), "/bytes/0")));
    // The least that asking a server of its own can cost: one that looks at nothing.
    let yes = "location = /yes { return 204; }";
    let says_yes = || Process::nginx_asking(&app.address, "", yes, "");
    let another = || Front::new(&app, Some((says_yes()?, "/yes")));
    let none = || Front::new(&app, None);
    let endpoint = ("auth endpoint, nginx", Bar::Processor(0.9));
    let whole = ("page, nginx", Bar::Clock(0.8));
    let alone = ("page, nginx", Bar::None);
    let held = [
        compare(endpoint, effort, &page, &gateway, ("bare Pingora", &bare)),
        compare(whole, effort, &page, &gateway, ("static server", &another)),
        compare(alone, effort, &page, &gateway, ("static answer", &none)),
    ];
    held.into_iter().all(|held| held)
}

type Start<'a> = &'a dyn Fn() -> Option<Front>;

/// Without nginx nothing is compared, and nothing is missed.
fn compare(
    (name, bar): (&str, Bar),
    effort: &Effort,
    page: &[u8],
    one: Start<'_>,
    (other_name, other): (&str, Start<'_>),
) -> bool {
    let (mut by_processor, mut by_clock) = (Vec::new(), Vec::new());
    let requests = effort.requests / 4;
    for _ in 0..effort.starts {
        let (Some(one), Some(other)) = (one(), other()) else { return true };
        let open = |front: &Front| Connections::open(&front.nginx.address, CONNECTIONS);
        let (mut ask_one, mut ask_other) = (open(&one), open(&other));
        for round in 0..=effort.rounds {
            let (processor, clock) = one.seconds_for(|| ask_one.repeat(page, requests));
            let (least, fastest) = other.seconds_for(|| ask_other.repeat(page, requests));
            // The first round warms up.
            if round > 0 {
                by_processor.push(least / processor);
                by_clock.push(fastest / clock);
            }
        }
    }
    let (processor, clock) = (median(by_processor), median(by_clock));
    let (ratio, least) = match bar {
        Bar::Clock(least) => (clock, least),
        Bar::None => (clock, 0.0),
        Bar::Processor(least) => (processor, least),
    };
    let missed = if ratio < least { format!(": below {least}") } else { String::new() };
    println!(
        "{name:<26} beside {other_name:<13} ratio {clock:.3} by the clock, {processor:.3} by processor time{missed}"
    );
    ratio >= least
}
