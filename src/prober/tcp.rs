//! A TCP connection that knows when the bytes it has read came.
//!
//! The kernel stamps what it receives (`SO_TIMESTAMPNS`, socket(7)). Without that, the time that this program takes to
//! wake up, when the processor is busy with other things, would be shown as the server's. Where there is no stamp, the
//! time of reading counts.

use std::io;
use std::os::fd::{AsFd, AsRawFd as _};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime};

use socket2::{Domain, Socket, Type};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::run::now;

/// How long bytes may have waited for us. The stamp is of the wall clock, and one that differs by more says that
/// somebody has set it.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// A connection, and the times of its last bytes in each direction.
pub(super) struct Tcp {
    inner: TcpStream,
    received: Option<Instant>,
    sent: Option<Instant>,
    /// Something has been read since something was written.
    heard: bool,
    /// What was read last filled the room there was.
    filled: bool,
}

impl Tcp {
    pub(super) fn new(inner: TcpStream) -> Self {
        Self { inner, received: None, sent: None, heard: false, filled: false }
    }

    /// When the last bytes read had come.
    pub(super) fn received(&self) -> Option<Instant> {
        self.received
    }

    /// When the last bytes written were handed over.
    pub(super) fn sent(&self) -> Option<Instant> {
        self.sent
    }

    /// Whether more may have come than was read last.
    pub(super) fn may_hold_more(&self) -> bool {
        self.filled
    }

    pub(super) fn stream(&self) -> &TcpStream {
        &self.inner
    }

    /// Something is about to be written. The answer may be here when the kernel comes back.
    fn speaks(&mut self) {
        self.sent = Some(now().0);
        self.heard = false;
    }
}

/// Wants stamps from a socket; best before it connects, since the first bytes may come with the connection.
#[cfg(target_os = "linux")]
pub(super) fn stamp(socket: &impl AsFd) {
    // Without it the measurement is less exact, and nothing else is lost.
    let _ = nix::sys::socket::setsockopt(socket, nix::sys::socket::sockopt::ReceiveTimestampns, &true);
}

#[cfg(not(target_os = "linux"))]
pub(super) fn stamp(_: &impl AsFd) {}

/// Keeps the kernel stamping. It does so as long as any socket wants it, and to begin and to end is dear (it changes its
/// own code), while a connection every other moment has none beside it.
pub(super) struct Stamping {
    _socket: Option<Socket>,
}

impl Stamping {
    pub(super) fn begin() -> Self {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).ok();
        socket.iter().for_each(stamp);
        Self { _socket: socket }
    }
}

/// There is more to come, and nothing to say before it. A server without TCP_NODELAY holds back the rest of a reply, or
/// the reply behind its session tickets, until what it has sent is acknowledged; our kernel may delay that by 40 ms, in
/// the hope that we answer, which would then be measured as the server's own.
#[cfg(target_os = "linux")]
fn acknowledge(tcp: &TcpStream) {
    // Without it the measurement is less exact, and nothing else is lost.
    let _ = tcp.set_quickack(true);
}

#[cfg(not(target_os = "linux"))]
fn acknowledge(_: &TcpStream) {}

/// Reads what there is, and when it came by the wall clock.
#[cfg(target_os = "linux")]
fn receive(tcp: &TcpStream, buffer: &mut [u8]) -> io::Result<(usize, Option<Duration>)> {
    use nix::sys::socket::{ControlMessageOwned, MsgFlags, cmsg_space, recvmsg};
    use nix::sys::time::TimeSpec;

    let mut parts = [io::IoSliceMut::new(buffer)];
    let mut control = [0; cmsg_space::<TimeSpec>()];
    let message = recvmsg::<()>(tcp.as_raw_fd(), &mut parts, Some(&mut control), MsgFlags::empty())?;
    let stamp = message.cmsgs().ok().and_then(|mut all| {
        all.find_map(|one| if let ControlMessageOwned::ScmTimestampns(time) = one { Some(time.into()) } else { None })
    });
    Ok((message.bytes, stamp))
}

#[cfg(not(target_os = "linux"))]
fn receive(tcp: &TcpStream, buffer: &mut [u8]) -> io::Result<(usize, Option<Duration>)> {
    Ok((tcp.try_read(buffer)?, None))
}

/// When bytes came that were read now and stamped then.
fn came(stamp: Option<Duration>, (now, wall): (Instant, SystemTime)) -> Instant {
    let waited = stamp.and_then(|stamp| wall.duration_since(SystemTime::UNIX_EPOCH).ok()?.checked_sub(stamp));
    waited.filter(|waited| *waited <= LONGEST_WAIT).and_then(|waited| now.checked_sub(waited)).unwrap_or(now)
}

impl AsyncRead for Tcp {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            let ready = self.inner.poll_read_ready(cx);
            if ready.is_pending() && std::mem::take(&mut self.heard) {
                acknowledge(&self.inner);
            }
            ready!(ready)?;
            let room = buf.initialize_unfilled();
            let (whole, mut read) = (room.len(), None);
            let tried = self.inner.try_io(Interest::READABLE, || {
                let (length, _) = *read.insert(receive(&self.inner, room)?);
                // Less than would have fitted is all there is: to say so spares the call that finds nothing.
                if 0 < length && length < whole { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
            });
            if let Some((length, stamp)) = read {
                if length > 0 {
                    self.received = Some(came(stamp, now()));
                    self.heard = true;
                }
                self.filled = length == whole;
                buf.advance(length);
                return Poll::Ready(Ok(()));
            }
            if let Err(error) = tried
                && error.kind() != io::ErrorKind::WouldBlock
            {
                return Poll::Ready(Err(error));
            }
        }
    }
}

impl AsyncWrite for Tcp {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.speaks();
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    /// The two records that end a handshake go as one segment.
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.speaks();
        Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
