//! The socket below a session: clear or TLS, its bytes cut as the test wants them.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::server::TlsStream;

use super::Ending;

/// How a server's words are cut into writes (and, inside TLS, into records).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Chunking {
    /// As the script has them.
    #[default]
    Whole,
    /// Each byte alone; the handshake leaves in one-byte segments as well.
    PerByte,
    /// One cut after so many bytes of everything the server says in a session, then 2 ms.
    SplitAt(usize),
}

/// One client's connection.
pub(super) enum Wire {
    Clear(Tap),
    Tls(Box<TlsStream<Tap>>),
    /// While the handshake has the socket.
    Away,
}

impl Wire {
    pub(super) fn is_tls(&self) -> bool {
        matches!(self, Wire::Tls(_))
    }

    pub(super) fn tap(&mut self) -> &mut Tap {
        match self {
            Wire::Clear(tap) => tap,
            Wire::Tls(tls) => tls.get_mut().0,
            Wire::Away => unreachable!("a handshake puts the socket back"),
        }
    }

    /// Reads some bytes; 0 is FIN, or inside TLS a close_notify.
    pub(super) async fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Wire::Tls(tls) => tls.read(into).await,
            clear => clear.tap().read(into).await,
        }
    }

    pub(super) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Wire::Tls(tls) => {
                tls.write_all(bytes).await?;
                tls.flush().await
            }
            clear => clear.tap().write_all(bytes).await,
        }
    }

    pub(super) async fn end(&mut self, ending: Ending) -> io::Result<()> {
        match (self, ending) {
            (Wire::Tls(tls), Ending::Close) => tls.shutdown().await,
            (wire, Ending::Reset) => wire.tap().tcp.set_zero_linger(),
            (wire, _) => wire.tap().tcp.shutdown().await,
        }
    }

    /// Makes the server's side of a handshake of which at most `budget` bytes are sent.
    pub(super) async fn handshake(&mut self, config: Arc<ServerConfig>, budget: usize) -> io::Result<()> {
        let Wire::Clear(mut tap) = std::mem::replace(self, Wire::Away) else {
            return Err(io::Error::other("TLS inside TLS"));
        };
        tap.seen.clear();
        tap.budget = budget;
        let accepted = TlsAcceptor::from(config).accept(tap).into_fallible().await;
        let outcome = match accepted {
            Ok(tls) => {
                *self = Wire::Tls(Box::new(tls));
                Ok(())
            }
            Err((error, tap)) => {
                *self = Wire::Clear(tap);
                Err(error)
            }
        };
        self.tap().budget = usize::MAX;
        outcome
    }
}

/// A TCP stream that remembers what it read and can be made to write badly.
pub(super) struct Tap {
    tcp: TcpStream,
    /// What was read, the first 64 KiB.
    pub(super) seen: Vec<u8>,
    /// How many bytes were read in all.
    pub(super) received: usize,
    /// The most bytes in one write.
    piece: usize,
    /// Bytes it may still write before it fails.
    budget: usize,
}

impl Tap {
    pub(super) fn new(tcp: TcpStream, chunking: Chunking) -> Tap {
        let per_byte = chunking == Chunking::PerByte;
        Tap { tcp, seen: Vec::new(), received: 0, piece: if per_byte { 1 } else { usize::MAX }, budget: usize::MAX }
    }

    /// Sends one byte as urgent data (RFC 9293 §3.8.5), which most readers never see.
    pub(super) fn urgent(&self, byte: u8) -> io::Result<()> {
        socket2::SockRef::from(&self.tcp).send_out_of_band(&[byte]).map(drop)
    }
}

impl AsyncRead for Tap {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.tcp).poll_read(cx, buf))?;
        let room = (64 * 1024_usize).saturating_sub(self.seen.len());
        let fresh = &buf.filled()[before..];
        self.received += fresh.len();
        self.seen.extend_from_slice(&fresh[..fresh.len().min(room)]);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tap {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.budget == 0 {
            return Poll::Ready(Err(io::Error::other("cut here by the script")));
        }
        let length = bytes.len().min(self.piece).min(self.budget);
        let written = ready!(Pin::new(&mut self.tcp).poll_write(cx, &bytes[..length]))?;
        if self.budget != usize::MAX {
            self.budget -= written;
        }
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

/// Writes `bytes`, of which `said` went before, in the pieces of `chunking`.
pub(super) async fn write_cut(wire: &mut Wire, bytes: &[u8], said: usize, chunking: Chunking) -> io::Result<()> {
    match chunking {
        Chunking::PerByte => {
            for byte in bytes.chunks(1) {
                wire.write(byte).await?;
                tokio::task::yield_now().await;
            }
            Ok(())
        }
        Chunking::SplitAt(n) if said < n && n < said + bytes.len() => {
            let (first, second) = bytes.split_at(n - said);
            wire.write(first).await?;
            sleep(Duration::from_millis(2)).await;
            wire.write(second).await
        }
        _ => wire.write(bytes).await,
    }
}
