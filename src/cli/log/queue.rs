//! Log lines on their way out: handed over without waiting, written by a thread of their own.
//!
//! Whoever reads the log may stop reading (a pipe that is full, a terminal that is held, a disk that hangs), and a
//! write then waits for ever. Probes and scrapes must not wait with it. Lines for which the queue has no room are
//! left out, counted, and told of in the log itself as soon as it can be written again.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// How many lines may wait; with 200 bytes a line, 200 KiB.
const LINES: usize = 1024;

/// How long the end of the program waits for a reader.
const PATIENCE: Duration = Duration::from_secs(1);

/// Between two looks for room in the queue, of which there are as many as the patience has room for.
const PAUSE: Duration = Duration::from_millis(50);

enum Item {
    Line(Vec<u8>),
    /// Whoever sent this wants to know that all lines before it are written.
    Flush(SyncSender<()>),
}

/// The way to the log.
#[derive(Clone)]
pub(super) struct Queue {
    items: SyncSender<Item>,
    left_out: Arc<AtomicU64>,
}

impl Queue {
    /// A queue to whatever can be written to.
    pub(super) fn to(out: impl Write + Send + 'static) -> io::Result<Self> {
        let (items, queued) = sync_channel(LINES);
        let left_out = Arc::new(AtomicU64::new(0));
        let count = left_out.clone();
        thread::Builder::new().name("log".into()).spawn(move || write_all(out, &queued, &count))?;
        Ok(Self { items, left_out })
    }

    /// Waits until everything handed over is written, though not long for a reader that does not read.
    pub(super) fn flush(&self) {
        let (done, written) = sync_channel(1);
        let mut item = Item::Flush(done);
        for _ in 0..20 {
            match self.items.try_send(item) {
                Err(TrySendError::Full(again)) => item = again,
                sent => {
                    if sent.is_ok() {
                        // Late is as good as never: the program ends.
                        let _ = written.recv_timeout(PATIENCE);
                    }
                    return;
                }
            }
            thread::sleep(PAUSE);
        }
    }
}

impl Write for Queue {
    /// Takes a line, and never waits.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.items.try_send(Item::Line(line.to_vec())).is_err() {
            self.left_out.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Queue {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// The thread: it writes until every way to it is gone.
fn write_all(mut out: impl Write, queued: &Receiver<Item>, left_out: &AtomicU64) {
    loop {
        let item = match queued.try_recv() {
            Ok(item) => item,
            Err(TryRecvError::Disconnected) => return,
            Err(TryRecvError::Empty) => {
                let lines = left_out.swap(0, Ordering::Relaxed);
                if lines > 0 {
                    tracing::warn!(lines, "the log could not be written for some time, and lines were left out");
                }
                let Ok(item) = queued.recv() else { return };
                item
            }
        };
        // A log that cannot be written (its reader has gone, the disk is full) must stop nothing else.
        match item {
            Item::Line(line) => {
                let _ = out.write_all(&line);
            }
            Item::Flush(done) => {
                let _ = out.flush();
                let _ = done.try_send(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes nothing until it is let go.
    struct Stuck {
        go: Receiver<()>,
        taken: SyncSender<Vec<u8>>,
    }

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // Once its other end is gone, it goes on by itself.
            let _ = self.go.recv();
            self.taken.send(bytes.to_vec()).unwrap();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_log_that_nobody_reads_holds_nobody_up() {
        let (let_go, go) = sync_channel(0);
        let (taken, lines) = sync_channel(10_000);
        let mut queue = Queue::to(Stuck { go, taken }).unwrap();
        for number in 0..5000 {
            queue.write_all(format!("{number}\n").as_bytes()).unwrap();
        }
        // One line is with the writer, or not yet.
        let left_out = queue.left_out.load(Ordering::Relaxed) as usize;
        assert!((5000 - LINES - 1..=5000 - LINES).contains(&left_out), "{left_out}");
        queue.flush();
        assert_eq!(lines.try_iter().count(), 0, "the end of the program does not wait for ever");
        drop(let_go);
        queue.flush();
        let written: Vec<Vec<u8>> = lines.try_iter().collect();
        assert_eq!(written.len(), 5000 - left_out);
        assert_eq!(written[..2], [b"0\n".to_vec(), b"1\n".to_vec()], "whole lines, in their order");
    }

    #[test]
    fn a_log_whose_reader_has_gone_is_no_error() {
        struct Gone;
        impl Write for Gone {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
        }
        let mut queue = Queue::to(Gone).unwrap();
        for _ in 0..3 {
            queue.write_all(b"line\n").unwrap();
            queue.flush();
        }
    }
}
