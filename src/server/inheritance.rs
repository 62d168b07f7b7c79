//! Carries state to the process that takes over: sign-outs, revocations, how much is used
//! up of the limits, and the public keys of tokens issued before.
//!
//! The link of the handover carries lines of digests and times, and of public keys. First
//! everything, up to a line that marks the end; then, until the old process ends, each tells
//! the other what happens, because one drains while the other already serves. An error here
//! is logged and does not stop the takeover.

use std::io::{self, BufRead as _, BufReader, BufWriter, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use crate::identify::revocation::Entry;
use crate::limit::UsedAllowance;
use crate::state::State;

/// The line behind which everything has been told.
const READY: &str = "ready";
/// The old process has not read what other replicas revoked. A version that does not know
/// this line passes over it.
const LACKS: &str = "lacks revocations";
const LIMIT: &str = "limit ";
const KEY: &str = "key ";
/// All tables full take less.
const MOST_BYTES: u64 = 256 * 1024 * 1024;
/// A line is shorter, also that of the largest key.
const LONGEST_LINE: u64 = 16 * 1024;
/// A successor that does not read is one that knows nothing of this.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
const TICK: Duration = Duration::from_secs(1);
/// While it drains, a process with more counters does not repeat them each `TICK`.
const MOST_REPEATED: usize = 10_000;

/// The messages of one side of the link.
pub(super) struct Talk {
    pub(super) events: Receiver<Entry>,
    pub(super) tells_limits: bool,
}

/// Tells everything; returns the events from then on.
pub(super) fn give(link: &UnixStream, state: &State) -> Option<Receiver<Entry>> {
    let (entries, events) = state.identifier.revoked.follow();
    let tell = || -> io::Result<()> {
        link.set_write_timeout(Some(WRITE_TIMEOUT))?;
        let mut to = BufWriter::new(link);
        if state.identifier.revoked.lacks_others() {
            writeln!(to, "{LACKS}")?;
        }
        for entry in &entries {
            writeln!(to, "{}", entry.line())?;
        }
        for key in state.retired.lines(&state.policy().discovery, state.clock.now()) {
            writeln!(to, "{KEY}{key}")?;
        }
        tell_limits(&mut to, state)?;
        writeln!(to, "{READY}")?;
        to.flush()
    };
    match tell() {
        Ok(()) => Some(events),
        Err(error) => {
            tracing::warn!(%error, "the new process did not receive all revocations, keys and limits");
            None
        }
    }
}

fn tell_limits(to: &mut impl io::Write, state: &State) -> io::Result<()> {
    for used in state.issuer.used(state.clock.now()) {
        writeln!(to, "{LIMIT}{}", used.line())?;
    }
    Ok(())
}

/// Everything the old process has told.
pub(super) fn read(link: &mut BufReader<UnixStream>) -> Vec<String> {
    let mut lines = Vec::new();
    let mut left = MOST_BYTES;
    loop {
        match next_line(link) {
            Ok(Some(line)) if line == READY => return lines,
            Ok(Some(line)) if left > LONGEST_LINE => {
                left -= line.len() as u64;
                lines.push(line);
            }
            Ok(Some(_)) => {}
            // Diagnostics are not set up yet; the old process, which is still there, will report
            // it.
            Ok(None) | Err(_) => return lines,
        }
    }
}

/// A line; `None` is the end.
fn next_line(link: &mut BufReader<UnixStream>) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    link.take(LONGEST_LINE).read_until(b'\n', &mut line)?;
    let whole = line.strip_suffix(b"\n").and_then(|line| std::str::from_utf8(line).ok());
    Ok(if line.is_empty() { None } else { Some(whole.unwrap_or_default().to_owned()) })
}

/// Applies everything the old process has told.
pub(super) fn inherit(lines: Vec<String>, state: &State) {
    let is_complete = !lines.is_empty() && lines.iter().all(|line| line != LACKS);
    apply(lines.into_iter(), state);
    if is_complete {
        state.identifier.revoked.restored();
    }
}

/// Applies the messages received.
fn apply(lines: impl Iterator<Item = String>, state: &State) {
    for line in lines {
        let now = state.clock.now();
        if let Some(used) = line.strip_prefix(LIMIT) {
            if let Some(used) = UsedAllowance::read(used) {
                state.issuer.merge(&used, now);
            }
        } else if let Some(key) = line.strip_prefix(KEY) {
            state.retired.learn(key, now);
        } else if let Some(entry) = Entry::read(&line) {
            state.identifier.revoked.learn(entry, now);
        }
    }
}

/// Tells the other side what happens here and applies what happens there, until it ends.
pub(super) fn talk(link: BufReader<UnixStream>, talk: Talk, state: &Arc<State>) {
    let started = || -> io::Result<()> {
        link.get_ref().set_read_timeout(None)?;
        link.get_ref().set_write_timeout(Some(WRITE_TIMEOUT))?;
        let to = link.get_ref().try_clone()?;
        let over = Arc::new(AtomicBool::new(false));
        let (told, is_over) = (state.clone(), over.clone());
        std::thread::Builder::new().name("telling".into()).spawn(move || {
            if let Err(error) = tell_on(&to, &talk, &is_over, &told) {
                tracing::debug!(%error, "the other process receives no further updates");
            }
        })?;
        let state = state.clone();
        std::thread::Builder::new().name("listening".into()).spawn(move || {
            listen(link, &state);
            over.store(true, Ordering::Release);
        })?;
        Ok(())
    };
    if let Err(error) = started() {
        tracing::warn!(%error, "the old and the new process cannot exchange revocations and limits");
    }
}

fn tell_on(mut to: &UnixStream, talk: &Talk, over: &AtomicBool, state: &State) -> io::Result<()> {
    if talk.tells_limits {
        // Again: requests were served since.
        tell_limits(&mut BufWriter::new(to), state)?;
    }
    while !over.load(Ordering::Acquire) {
        match talk.events.recv_timeout(TICK) {
            Ok(entry) => writeln!(to, "{}", entry.line())?,
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
            Err(RecvTimeoutError::Timeout) => {
                if talk.tells_limits && state.issuer.buckets() <= MOST_REPEATED {
                    tell_limits(&mut BufWriter::new(to), state)?;
                }
            }
        }
    }
    Ok(())
}

fn listen(mut link: BufReader<UnixStream>, state: &State) {
    while let Ok(Some(line)) = next_line(&mut link) {
        apply(std::iter::once(line), state);
    }
}
