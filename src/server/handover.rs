//! Hands over to another program: it is started with the listening sockets, reports when
//! it serves, and only then does this one stop.
//!
//! Both accept from the same sockets in between, so no connection is refused. A program
//! that fails before that changes nothing. The sockets travel over a socket pair that the
//! new program finds as its standard input; its answer comes back the same way, and so do
//! the messages between the two (`inheritance`).

use std::ffi::OsString;
use std::io::{self, BufReader, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::time::Duration;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

use super::inheritance::{self, Talk};
use crate::identify::revocation::Entry;
use crate::state::State;

/// The argument that tells a program where its sockets come from.
pub(crate) const TAKE_OVER: &str = "--take-over";

/// Most sockets that can be handed over; no configuration has that many listeners.
const MOST_SOCKETS: usize = 64;
const LONGEST_MESSAGE: usize = 16 * 1024;
/// A successor that does not serve within this time is given up.
const PATIENCE: Duration = Duration::from_secs(60);
const STEP: Duration = Duration::from_millis(50);
const SERVING: u8 = b'!';
const TELLS_MORE: &str = "\n\n";

/// Listening sockets by the address they are written under.
pub(super) type Sockets = Vec<(String, OwnedFd)>;

/// The program to start in place of this process: the path it was started from, which
/// may hold a new version by then, with the same arguments.
#[derive(Clone, Debug)]
pub struct Program {
    path: PathBuf,
    arguments: Vec<OsString>,
}

impl Program {
    /// Ask early: once its file is replaced, the system no longer knows where a program
    /// came from.
    pub fn of_this_process() -> io::Result<Self> {
        let mut arguments = std::env::args_os();
        let name = PathBuf::from(arguments.next().unwrap_or_default());
        // As it was called and not where links lead, because a new version may be
        // a new end of the link.
        let path = if name.components().count() > 1 {
            std::env::current_dir()?.join(name)
        } else {
            std::env::current_exe()?
        };
        let arguments = arguments.filter(|argument| argument != TAKE_OVER).collect();
        Ok(Self { path, arguments })
    }

    /// Starts it with these sockets.
    pub(super) fn start(&self, sockets: &Sockets, state: &State) -> io::Result<Successor> {
        let mut successor = self.start_process(sockets)?;
        successor.events = inheritance::give(&successor.link, state);
        Ok(successor)
    }

    fn start_process(&self, sockets: &Sockets) -> io::Result<Successor> {
        let (link, its_end) = UnixStream::pair()?;
        let mut command = Command::new(&self.path);
        command.args(&self.arguments).arg(TAKE_OVER).stdin(Stdio::from(OwnedFd::from(its_end)));
        let child = command.spawn()?;
        // Drops our copy of the other end, so that reading ends when the program does.
        drop(command);
        let mut successor = Successor { child, link, events: None };
        match send(&successor.link, sockets) {
            // One that has ended already is known by its exit status.
            Err(error) if !is_end(&error) => {
                successor.give_up();
                Err(error)
            }
            Ok(()) | Err(_) => Ok(successor),
        }
    }
}

impl std::fmt::Display for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.path.display().fmt(f)
    }
}

/// Why a program did not take over.
#[derive(Debug)]
pub(super) enum HandoverError {
    /// It ended before it served.
    Ended(ExitStatus),
    Late,
    /// The task that waited for it was cut off.
    Lost,
    NotStarted(io::Error),
    Unreadable(io::Error),
}

impl std::fmt::Display for HandoverError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ended(status) => write!(f, "it ended before it served: {status}"),
            Self::Late => write!(f, "it did not serve within {} seconds", PATIENCE.as_secs()),
            Self::Lost => f.write_str("the gateway stopped waiting for it"),
            Self::NotStarted(error) => write!(f, "it cannot be started: {error}"),
            Self::Unreadable(error) => write!(f, "its answer cannot be read: {error}"),
        }
    }
}

impl std::error::Error for HandoverError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NotStarted(error) | Self::Unreadable(error) => Some(error),
            Self::Ended(_) | Self::Late | Self::Lost => None,
        }
    }
}

/// A program that was started and does not serve yet.
pub(super) struct Successor {
    child: Child,
    link: UnixStream,
    /// Entries made here since the successor was told of everything.
    events: Option<Receiver<Entry>>,
}

impl Successor {
    /// Its process id once it serves. Blocks.
    pub(super) fn wait_until_serving(
        mut self,
        cancelled: &AtomicBool,
        state: &Arc<State>,
    ) -> Result<u32, HandoverError> {
        let outcome = self.wait(cancelled);
        if outcome.is_err() {
            self.give_up();
        } else if let Some(events) = self.events {
            let talk = Talk { events, tells_limits: true };
            inheritance::talk(BufReader::new(self.link), talk, state);
        }
        outcome
    }

    fn wait(&mut self, cancelled: &AtomicBool) -> Result<u32, HandoverError> {
        self.link.set_read_timeout(Some(STEP)).map_err(HandoverError::Unreadable)?;
        let mut waited = Duration::ZERO;
        // Once more after it was cancelled: a program that serves holds the sockets.
        let mut is_last = false;
        while waited < PATIENCE && !is_last {
            is_last = cancelled.load(Ordering::SeqCst);
            let mut answer = [0];
            match self.link.read(&mut answer) {
                Ok(1) if answer == [SERVING] => return Ok(self.child.id()),
                Ok(_) => self.expect_end()?,
                Err(error) if is_end(&error) => self.expect_end()?,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(HandoverError::Unreadable(error)),
            }
            waited += STEP;
        }
        Err(HandoverError::Late)
    }

    /// An error once the program has ended, which may be a moment after its link has. One
    /// that lives on without it can never say that it serves.
    fn expect_end(&mut self) -> Result<(), HandoverError> {
        match self.child.try_wait().map_err(HandoverError::Unreadable)? {
            Some(status) => Err(HandoverError::Ended(status)),
            None => {
                std::thread::sleep(STEP);
                Ok(())
            }
        }
    }

    /// Ends the program, so that no part of it keeps accepting connections.
    fn give_up(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The process this one takes over from.
pub(super) struct Predecessor {
    link: BufReader<UnixStream>,
    inherited: Vec<String>,
}

impl Predecessor {
    /// Takes the sockets that wait at standard input.
    pub(super) fn of_this_process() -> io::Result<(Self, Sockets)> {
        let link = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
        link.set_read_timeout(Some(PATIENCE))?;
        let (sockets, tells_more) = receive(&link)?;
        let mut link = BufReader::new(link);
        let inherited = if tells_more { inheritance::read(&mut link) } else { Vec::new() };
        Ok((Self { link, inherited }, sockets))
    }

    /// Takes over its knowledge at once: later there would be requests that it should
    /// apply to.
    pub(super) fn inherit(&mut self, state: &State) {
        inheritance::inherit(std::mem::take(&mut self.inherited), state);
    }

    /// Tells it that it is no longer needed, and keeps listening to it.
    pub(super) fn serving(mut self, state: &Arc<State>) {
        // First, so that it learns of everything from now on.
        let (_, events) = state.identifier.revoked.follow();
        if let Err(error) = self.link.get_mut().write_all(&[SERVING]) {
            tracing::warn!(%error, "the previous process cannot be told that this one serves");
            return;
        }
        inheritance::talk(self.link, Talk { events, tells_limits: false }, state);
    }
}

/// Whether the other side has closed the link. The system calls it a reset where data was
/// left unread.
fn is_end(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}

fn send(link: &UnixStream, sockets: &Sockets) -> io::Result<()> {
    let text: String = sockets.iter().map(|(name, _)| format!("{name}\n")).collect();
    if sockets.len() > MOST_SOCKETS || text.len() >= LONGEST_MESSAGE {
        return Err(io::Error::other(format!("more than {MOST_SOCKETS} listeners")));
    }
    let descriptors: Vec<_> = sockets.iter().map(|(_, socket)| socket.as_fd()).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_SOCKETS))];
    let mut attached = SendAncillaryBuffer::new(&mut space);
    attached.push(SendAncillaryMessage::ScmRights(&descriptors));
    // An empty message would not carry anything. The second empty line says that more
    // follows; a version that does not know it passes over it.
    let text = format!("{text}{TELLS_MORE}");
    sendmsg(link, &[io::IoSlice::new(text.as_bytes())], &mut attached, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// The sockets, and whether more data follows them.
fn receive(link: &UnixStream) -> io::Result<(Sockets, bool)> {
    let mut text = vec![0; LONGEST_MESSAGE];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_SOCKETS))];
    let mut attached = RecvAncillaryBuffer::new(&mut space);
    let mut slices = [io::IoSliceMut::new(&mut text)];
    let received = recvmsg(link, &mut slices, &mut attached, RecvFlags::CMSG_CLOEXEC)?;
    let mut descriptors = Vec::new();
    for message in attached.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            descriptors.extend(rights);
        }
    }
    text.truncate(received.bytes);
    let text = String::from_utf8(text).map_err(io::Error::other)?;
    let names: Vec<_> = text.lines().filter(|name| !name.is_empty()).collect();
    if names.len() != descriptors.len() {
        return Err(io::Error::other("sockets and their addresses do not match"));
    }
    let sockets = names.into_iter().map(str::to_owned).zip(descriptors).collect();
    Ok((sockets, text.ends_with(TELLS_MORE)))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn sockets_arrive_with_their_addresses() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let listeners = [0, 1].map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
        let ports = listeners.each_ref().map(|listener| listener.local_addr().unwrap().port());
        let named = |(number, listener): (usize, TcpListener)| {
            (format!("127.0.0.1:{number}"), OwnedFd::from(listener))
        };
        send(&ours, &listeners.into_iter().enumerate().map(named).collect()).unwrap();
        let (received, tells_more) = receive(&theirs).unwrap();
        assert!(tells_more);
        for (number, (name, socket)) in received.into_iter().enumerate() {
            assert_eq!(name, format!("127.0.0.1:{number}"));
            let port = TcpListener::from(socket).local_addr().unwrap().port();
            assert_eq!(port, ports[number]);
        }
        send(&ours, &Vec::new()).unwrap();
        assert!(receive(&theirs).unwrap().0.is_empty());
    }

    /// A shell in place of a new version.
    fn started(script: &str) -> Successor {
        let arguments = ["-c", script].map(OsString::from).to_vec();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let sockets = vec![("127.0.0.1:0".to_owned(), OwnedFd::from(listener))];
        Program { path: "/bin/sh".into(), arguments }.start_process(&sockets).unwrap()
    }

    #[test]
    fn a_program_that_ends_is_reported_with_its_status() {
        for script in [
            // At once, the sockets unread.
            "exit 3",
            // Later.
            "sleep 0.2; exit 3",
            "read -r line; exit 3",
            // Its end of the link before it.
            "exec <&-; sleep 0.2; exit 3",
            "printf x >&0; exit 3",
        ] {
            let mut successor = started(script);
            let why = successor.wait(&AtomicBool::new(false)).unwrap_err().to_string();
            assert_eq!(why, "it ended before it served: exit status: 3", "{script}");
        }
    }

    #[test]
    fn waiting_for_a_program_without_a_link_can_be_cancelled() {
        let mut successor = started("exec <&-; exec sleep 300");
        let cancelled = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| successor.wait(&cancelled).unwrap_err());
            std::thread::sleep(STEP * 4);
            cancelled.store(true, Ordering::SeqCst);
            assert!(matches!(waiting.join().unwrap(), HandoverError::Late));
        });
        successor.give_up();
    }

    #[test]
    fn a_program_that_serves_does_so_even_if_it_was_to_be_cancelled() {
        let mut successor = started("printf '!' >&0");
        while successor.child.try_wait().unwrap().is_none() {
            std::thread::sleep(STEP);
        }
        assert_eq!(successor.wait(&AtomicBool::new(true)).unwrap(), successor.child.id());
    }
}
