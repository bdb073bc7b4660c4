//! The system's errors in the words of the contract.

use std::io::{Error, ErrorKind};

use crate::outcome::failure::{Failure, Reason};
use crate::phase::Phase;

/// A failure out of an error of a socket.
pub(super) fn failure(phase: Phase, error: &Error) -> Failure {
    let reason = reason(error);
    let detail = match reason {
        Reason::Refused => "the connection was refused".to_owned(),
        Reason::Reset => "the connection was reset".to_owned(),
        Reason::Closed => "the server closed the connection".to_owned(),
        Reason::Timeout => "the connection timed out".to_owned(),
        Reason::Unreachable => format!("the address cannot be reached ({error})"),
        _ => format!("this machine could not connect ({error})"),
    };
    Failure::new(phase, reason, detail)
}

/// Chosen by the kind of the error, never by its text.
pub(super) fn reason(error: &Error) -> Reason {
    match error.kind() {
        ErrorKind::ConnectionRefused => Reason::Refused,
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted => Reason::Reset,
        ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe | ErrorKind::NotConnected => Reason::Closed,
        ErrorKind::TimedOut => Reason::Timeout,
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable | ErrorKind::NetworkDown => Reason::Unreachable,
        // EMFILE, ENFILE, EADDRNOTAVAIL, ENOBUFS, ENOMEM; EACCES and EPERM come from a local firewall.
        _ => Reason::LocalResource,
    }
}

/// Whether the peer has ended the connection.
pub(super) fn is_end(error: &Error) -> bool {
    matches!(reason(error), Reason::Closed | Reason::Reset)
}
