//! The longest time the app may take to answer, where the framework sets no limit.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;

use super::app_deadline::AppDeadline;
use super::purpose::{Purpose, WRITE_TIMEOUT};

/// The gateway has closed the connection, after the time that one may be idle.
pub(super) struct Closed;

/// The body that a request has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Upload {
    Nothing,
    /// Pauses of the client have a limit of their own, `body_timeout`.
    OverHttp1,
    /// A client that pauses is given up together with the app.
    OverHttp2,
}

/// The longest silences: of the app, and of a client within its body.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Patience {
    pub(super) app: Duration,
    pub(super) client: Duration,
}

impl Patience {
    /// The app's silence while it is sent a body, of which it may also take its time to read
    /// what is queued.
    fn during(self, upload: Upload) -> Duration {
        match upload {
            Upload::Nothing => self.app,
            Upload::OverHttp1 => self.app.max(self.client) + WRITE_TIMEOUT,
            Upload::OverHttp2 => self.app + WRITE_TIMEOUT,
        }
    }

    /// The timeout of the framework, which counts the client's pauses as the app's. None
    /// where there may be a tunnel, because nothing could lift it then.
    pub(super) fn read_timeout(self, purpose: Purpose, upload: Upload) -> Option<Duration> {
        match (purpose, upload) {
            (Purpose::Upgrade, _) => None,
            (Purpose::Request, Upload::OverHttp1) => Some(self.during(upload)),
            (Purpose::Request, Upload::Nothing | Upload::OverHttp2) => Some(self.app),
        }
    }
}

/// The wait for the answer to one attempt.
#[derive(Default)]
pub(super) struct AppWait {
    /// The deadline of the connection the request went out on.
    deadline: Option<Arc<AppDeadline>>,
    /// The app's `read_timeout`.
    read_timeout: Duration,
    /// The same while the app is still being sent a body.
    uploading: Option<Duration>,
    /// Whether the framework's timeout does not bound silences within the answer's body.
    watches_body: bool,
    /// Whether the app has begun to answer.
    answered: bool,
}

impl AppWait {
    /// An attempt begins.
    pub(super) fn new(patience: Patience, purpose: Purpose, upload: Upload) -> Self {
        Self {
            deadline: None,
            read_timeout: patience.app,
            uploading: (upload != Upload::Nothing).then(|| patience.during(upload)),
            watches_body: purpose == Purpose::Upgrade || upload == Upload::OverHttp1,
            answered: false,
        }
    }

    /// The request goes out over the connection with this deadline: the app's time for the
    /// head starts.
    pub(super) fn expect_head(&mut self, deadline: Option<Arc<AppDeadline>>) -> Result<(), Closed> {
        self.deadline = deadline;
        if self.begin_head() {
            return Ok(());
        }
        // Nothing is awaited on it, so the app is not late.
        self.deadline = None;
        Err(Closed)
    }

    /// A piece of the request's body goes out, or the last one.
    pub(super) fn uploaded(&mut self, is_last: bool) {
        if self.uploading.is_some() {
            self.uploading.take_if(|_| is_last);
            if self.answered {
                self.goes_on(false);
            } else {
                self.expect_next_head();
            }
        }
    }

    /// The time for a head starts again.
    pub(super) fn expect_next_head(&self) {
        self.begin_head();
    }

    /// The time for a head starts; whether the connection is open.
    fn begin_head(&self) -> bool {
        let (Some(deadline), false) = (&self.deadline, self.answered) else { return true };
        deadline.begin(self.longest_silence())
    }

    fn longest_silence(&self) -> Duration {
        self.uploading.unwrap_or(self.read_timeout)
    }

    /// The app's answer has begun.
    pub(super) fn answer_begins(&mut self, status: StatusCode) {
        self.answered = true;
        // A tunnel may be silent.
        self.watches_body &= status != StatusCode::SWITCHING_PROTOCOLS;
        if let Some(deadline) = &self.deadline {
            deadline.end();
        }
        self.goes_on(false);
    }

    /// A piece of the answer has come. Where the framework has no read timeout, or a longer
    /// one, a body is watched here.
    pub(super) fn goes_on(&self, is_over: bool) {
        if !self.watches_body {
            return;
        }
        if let Some(deadline) = &self.deadline {
            if is_over {
                deadline.end();
            } else {
                deadline.begin_piece(self.longest_silence());
            }
        }
    }

    /// The request has ended: its connection waits this long for the next one.
    pub(super) fn request_has_ended(&self, idle: Duration) {
        if let Some(deadline) = &self.deadline {
            deadline.begin(idle);
        }
    }

    /// The deadline of the connection the request went out on.
    pub(super) fn connection(&self) -> Option<Arc<AppDeadline>> {
        self.deadline.clone()
    }

    /// Whether the app has begun to answer.
    pub(super) fn has_answer(&self) -> bool {
        self.answered
    }

    /// Whether the connection to the app was ended because the app took too long.
    pub(super) fn is_late(&self) -> bool {
        self.deadline.as_ref().is_some_and(|deadline| deadline.has_passed())
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd as _;

    use pingora::protocols::l4::stream::Stream;
    use pingora::protocols::{Digest, GetProxyDigest as _};
    use tokio::net::UnixStream;

    use super::*;

    const APP: Duration = Duration::from_secs(2);
    const CLIENT: Duration = Duration::from_secs(20);
    const PATIENCE: Patience = Patience { app: APP, client: CLIENT };

    /// A kept connection, its other end, and the wait for an answer on it.
    fn wait(
        purpose: Purpose,
        upload: Upload,
    ) -> (Stream, UnixStream, Option<Arc<AppDeadline>>, AppWait) {
        let (near, far) = UnixStream::pair().unwrap();
        let socket = near.as_raw_fd();
        let mut stream = Stream::from(near);
        AppDeadline::attach(&mut stream, socket, Duration::from_millis(100));
        let digest = Digest { proxy_digest: stream.get_proxy_digest(), ..Digest::default() };
        let deadline = AppDeadline::of(Some(&digest));
        (stream, far, deadline, AppWait::new(PATIENCE, purpose, upload))
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_awaited_on_a_connection_that_the_gateway_has_closed() {
        let (_stream, _far, deadline, mut wait) = wait(Purpose::Request, Upload::Nothing);
        assert!(wait.expect_head(deadline.clone()).is_ok());
        wait.answer_begins(StatusCode::OK);
        wait.request_has_ended(APP);
        tokio::time::sleep(APP * 2).await;
        for upload in [Upload::Nothing, Upload::OverHttp1, Upload::OverHttp2] {
            let mut next = AppWait::new(PATIENCE, Purpose::Request, upload);
            assert!(next.expect_head(deadline.clone()).is_err(), "{upload:?}");
            assert!(!next.is_late(), "it is not the app that ended it");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn only_silences_of_the_app_count() {
        use Upload::{Nothing, OverHttp1, OverHttp2};
        let upgrade = Purpose::Upgrade;
        for (purpose, upload, framework) in [
            (Purpose::Request, Nothing, Some(APP)),
            (Purpose::Request, OverHttp1, Some(CLIENT + WRITE_TIMEOUT)),
            (Purpose::Request, OverHttp2, Some(APP)),
            (upgrade, Nothing, None),
            (upgrade, OverHttp1, None),
        ] {
            assert_eq!(PATIENCE.read_timeout(purpose, upload), framework, "{purpose:?} {upload:?}");
            let (_stream, _far, deadline, mut wait) = wait(purpose, upload);
            assert!(wait.expect_head(deadline).is_ok());
            if upload != Nothing {
                tokio::time::sleep(CLIENT).await;
                assert!(!wait.is_late(), "the client pauses: {purpose:?} {upload:?}");
                wait.uploaded(false);
                tokio::time::sleep(CLIENT).await;
                wait.uploaded(true);
            }
            tokio::time::sleep(APP / 2).await;
            assert!(!wait.is_late(), "{purpose:?} {upload:?}");
            tokio::time::sleep(APP).await;
            assert!(wait.is_late(), "the app's turn: {purpose:?} {upload:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_may_wait_for_the_rest_of_the_upload() {
        let (_stream, _far, deadline, mut wait) = wait(Purpose::Request, Upload::OverHttp1);
        assert!(wait.expect_head(deadline).is_ok());
        wait.answer_begins(StatusCode::OK);
        tokio::time::sleep(CLIENT).await;
        assert!(!wait.is_late());
        wait.uploaded(true);
        tokio::time::sleep(APP * 2).await;
        assert!(wait.is_late(), "it has all of it");
    }

    #[tokio::test(start_paused = true)]
    async fn a_tunnel_may_be_silent() {
        for upload in [Upload::Nothing, Upload::OverHttp1] {
            let (_stream, _far, deadline, mut wait) = wait(Purpose::Upgrade, upload);
            assert!(wait.expect_head(deadline).is_ok());
            wait.answer_begins(StatusCode::SWITCHING_PROTOCOLS);
            wait.goes_on(false);
            wait.uploaded(false);
            tokio::time::sleep(CLIENT * 100).await;
            assert!(!wait.is_late(), "{upload:?}");
        }
    }
}
