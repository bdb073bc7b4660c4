//! What the server has said, and the session has not acted on yet.

use super::fault::Fault;
use crate::mail::line::LineBuffer;
use crate::mail::smtp::reply::{Reply, ReplyFault, ReplyReader};

#[derive(Debug, Default)]
pub(super) struct Inbox {
    lines: LineBuffer,
    reader: ReplyReader,
    /// What was read of them, if nobody has had it yet.
    heard: Option<Result<Reply, Fault>>,
}

impl Inbox {
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        self.lines.push(bytes);
    }

    /// Whether a reply is whole.
    pub(super) fn is_answered(&mut self) -> bool {
        if self.heard.is_none() {
            self.heard = self.hear();
        }
        matches!(self.heard, Some(Ok(_)))
    }

    /// The next reply, or why there can be none. `None` until more arrives.
    pub(super) fn reply(&mut self) -> Option<Result<Reply, Fault>> {
        self.heard.take().or_else(|| self.hear())
    }

    /// What has arrived beyond the last line read.
    pub(super) fn pending(&self) -> &[u8] {
        self.lines.pending()
    }

    pub(super) fn discard(&mut self) {
        self.lines.discard();
    }

    /// Reads on to the end of a reply. `None` until more arrives.
    fn hear(&mut self) -> Option<Result<Reply, Fault>> {
        loop {
            let Ok(line) = self.lines.next_line() else { return Some(Err(Fault::TooLarge)) };
            match self.reader.line(line?) {
                Ok(None) => {}
                Ok(Some(reply)) => return Some(Ok(reply)),
                Err(ReplyFault::Malformed(line)) => return Some(Err(Fault::Malformed(line))),
                Err(ReplyFault::TooLarge) => return Some(Err(Fault::TooLarge)),
            }
        }
    }
}
