//! The connection to a target, in clear or inside TLS, as one type.

use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::task::unconstrained;
use tokio::time::Instant;
use tokio_rustls::client::TlsStream;

use super::tcp::Tcp;

/// A connection.
pub(super) enum Stream {
    /// TCP.
    Clear(Tcp),
    /// TLS over TCP.
    Tls(Box<TlsStream<Watched>>),
}

impl Stream {
    /// A connection as it is when it has just been made.
    pub(super) fn new(tcp: TcpStream) -> Self {
        Self::Clear(Tcp::new(tcp))
    }

    pub(super) async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Clear(tcp) => tcp.read(buffer).await,
            Self::Tls(tls) => tls.read(buffer).await,
        }
    }

    /// Reads what was here already when the last read came back, and had no room in its buffer. It never waits: `None`
    /// if there is nothing.
    pub(super) fn read_on(&mut self, buffer: &mut [u8]) -> Option<io::Result<usize>> {
        let may_hold_more = match self {
            Self::Clear(tcp) => tcp.may_hold_more(),
            // A read gives what one record holds, at the most. TLS that wants to read has given everything away.
            Self::Tls(tls) => {
                let (watched, connection) = tls.get_ref();
                watched.tcp.may_hold_more() || !connection.wants_read()
            }
        };
        if !may_hold_more {
            return None;
        }
        // Constrained, it may say that there is nothing for no other reason than that others are to have their turn.
        let read = pin!(unconstrained(self.read(buffer)));
        match read.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(read) => Some(read),
            Poll::Pending => None,
        }
    }

    pub(super) async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Clear(tcp) => tcp.write_all(bytes).await,
            Self::Tls(tls) => {
                tls.write_all(bytes).await?;
                tls.flush().await
            }
        }
    }

    /// When the bytes came that were read last, which may be before we had time to read them.
    pub(super) fn received(&self) -> Option<Instant> {
        self.tcp().received()
    }

    fn tcp(&self) -> &Tcp {
        match self {
            Self::Clear(tcp) => tcp,
            Self::Tls(tls) => &tls.get_ref().0.tcp,
        }
    }

    /// Sends close_notify, if there is TLS, and FIN.
    pub(super) async fn shutdown(&mut self) -> io::Result<()> {
        match self {
            Self::Clear(tcp) => tcp.shutdown().await,
            Self::Tls(tls) => tls.shutdown().await,
        }
    }

    /// Our end of the connection.
    pub(super) fn local_address(&self) -> io::Result<SocketAddr> {
        self.tcp().stream().local_addr()
    }
}

/// A TCP connection during the handshake: it keeps the first bytes the peer sent, to see what they were
/// if they are not TLS, and bounds how many there may be.
pub(super) struct Watched {
    pub tcp: Tcp,
    /// When the first bytes were written.
    pub began: Option<Instant>,
    /// The first bytes received.
    pub first: Vec<u8>,
    received: usize,
    limit: usize,
}

/// Enough to show a line of text.
const FIRST: usize = 512;

impl Watched {
    pub(super) fn new(tcp: Tcp, limit: usize) -> Self {
        Self { tcp, began: None, first: Vec::new(), received: 0, limit }
    }

    /// Keeps what a peer that has hung up said before, if it said a word at all that was not read yet. There is nothing
    /// to wait for: the connection is at its end.
    pub(super) async fn hear_out(&mut self) {
        if self.first.is_empty() {
            // An error would tell no more than the one that is known.
            let _ = self.read(&mut [0; FIRST]).await;
        }
    }

    /// The handshake is over: the limits of the dialogue take over.
    pub(super) fn unwatch(&mut self) {
        self.first = Vec::new();
        self.limit = usize::MAX;
    }
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.tcp).poll_read(cx, buf);
        let new = buf.filled().get(before..).unwrap_or_default();
        if self.limit < usize::MAX {
            let room = FIRST.saturating_sub(self.first.len());
            self.first.extend(new.iter().take(room));
            self.received = self.received.saturating_add(new.len());
            if self.received > self.limit {
                return Poll::Ready(Err(io::Error::other(rustls::Error::General("the handshake is too long".into()))));
            }
        }
        polled
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.tcp).poll_write(cx, buf);
        self.began = self.began.or(self.tcp.sent());
        polled
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.tcp).poll_write_vectored(cx, bufs);
        self.began = self.began.or(self.tcp.sent());
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}
