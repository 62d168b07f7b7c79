//! Long traffic: tunnels and server-sent events.

use std::net::TcpStream;
use std::time::Duration;

use super::{Page, Turn, user};
use crate::app::{self, EVENTS};
use crate::soak::Soak;
use crate::support::get;
use crate::wire::Wire;
use crate::world::{Met, State};

/// An upgraded connection; the frames in it are the app's and the client's own.
struct Tunnel {
    wire: Wire<TcpStream>,
    number: u64,
    echoes: u64,
}

impl Tunnel {
    fn open(soak: &Soak, number: u64) -> Result<Self, Met> {
        let user = user(number);
        let page = Page::new(soak, number, Some(&user));
        let request = get(&format!("/socket/{number}"))
            .user(&user)
            .header("Connection", "Upgrade")
            .header("Upgrade", "websocket")
            .header("Sec-WebSocket-Version", "13")
            .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
        let mut wire = Wire::open(&soak.plain)?;
        wire.write(&request.bytes())?;
        let head = wire.head()?;
        page.begins(soak, &head, 101)?;
        Ok(Self { wire, number, echoes: 0 })
    }

    fn echo(&mut self) -> Result<(), Met> {
        self.echoes += 1;
        let sent = format!("{} {}", self.number, self.echoes).repeat(20);
        self.wire.write(sent.as_bytes())?;
        let came = self.wire.exactly(sent.len())?;
        let wrong = || Met::Wrong(format!("{sent} came back as {came:?}"));
        if came == sent.as_bytes() { Ok(()) } else { Err(wrong()) }
    }
}

/// Twenty messages within a fifth of a second.
pub(super) fn tunnel(soak: &Soak) -> Turn<'_> {
    Turn::new(move |number| {
        let mut tunnel = Tunnel::open(soak, number)?;
        for _ in 0..20 {
            tunnel.echo()?;
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    })
}

/// One message a turn through each of ten tunnels, which stay open until the
/// app is killed; then they are opened again one after the other.
pub(super) fn long_tunnel(soak: &Soak) -> Turn<'_> {
    let (mut tunnels, mut since) = (Vec::<Tunnel>::new(), soak.world.look());
    Turn::new(move |number| {
        let now = soak.world.look();
        if since.app_until(&now) == State::Changing {
            tunnels.clear();
            since = now;
        }
        if tunnels.len() < 10 {
            tunnels.push(Tunnel::open(soak, number)?);
        }
        tunnels.iter_mut().try_for_each(Tunnel::echo)
    })
}

/// That each event arrives on its own is another test's to show.
pub(super) fn events(soak: &Soak) -> Turn<'_> {
    Turn::new(move |number| {
        let page = Page::new(soak, number, None);
        let answer = Wire::open(&soak.plain)?.ask(&get(&format!("/events/{number}")).bytes())?;
        let all: String = (0..EVENTS).map(|event| app::event(number, event)).collect();
        page.is(soak, &answer, all.as_bytes())
    })
}
