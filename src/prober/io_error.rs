//! The system's errors in the words of the contract.

use std::io::{Error, ErrorKind};
use std::net::IpAddr;

use crate::outcome::failure::{Failure, Reason};
use crate::phase::Phase;

/// A failure out of an error of a socket.
pub(super) fn failure(phase: Phase, error: &Error) -> Failure {
    of_reason(phase, reason(error), error)
}

/// A failure to connect, where routers and firewalls on the way have their say too, by ICMP.
pub(super) fn connecting(target: IpAddr, error: &Error) -> Failure {
    let reason = if is_icmp(target, error) { Reason::Unreachable } else { reason(error) };
    of_reason(Phase::Connect, reason, error)
}

/// Whether an error that looks like one of our own machine is what Linux makes of "destination unreachable"
/// (RFC 792; RFC 4443 §3.1).
fn is_icmp(target: IpAddr, error: &Error) -> bool {
    match error.raw_os_error() {
        // Protocol unreachable, destination host unknown.
        Some(libc::ENOPROTOOPT | libc::EHOSTDOWN) => true,
        // "Administratively prohibited" in IPv6. In IPv4 that is EHOSTUNREACH, and EACCES is our own machine's.
        Some(libc::EACCES) => target.is_ipv6(),
        _ => false,
    }
}

fn of_reason(phase: Phase, reason: Reason, error: &Error) -> Failure {
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
        // EMFILE, ENFILE, EADDRNOTAVAIL, ENOBUFS, ENOMEM; EACCES and EPERM come from a policy of this machine.
        _ => Reason::LocalResource,
    }
}

/// Whether the peer has ended the connection.
pub(super) fn is_end(error: &Error) -> bool {
    matches!(reason(error), Reason::Closed | Reason::Reset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_icmp_says_is_not_taken_for_a_fault_of_our_own() {
        let (v4, v6) = ("192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap());
        for (target, code, expected) in [
            (v4, libc::ECONNREFUSED, Reason::Refused),
            (v4, libc::ECONNRESET, Reason::Reset),
            (v4, libc::ETIMEDOUT, Reason::Timeout),
            (v4, libc::EHOSTUNREACH, Reason::Unreachable),
            (v4, libc::ENETUNREACH, Reason::Unreachable),
            (v4, libc::EHOSTDOWN, Reason::Unreachable),
            (v4, libc::ENOPROTOOPT, Reason::Unreachable),
            (v6, libc::EACCES, Reason::Unreachable),
            (v4, libc::EACCES, Reason::LocalResource),
            (v4, libc::EPERM, Reason::LocalResource),
            (v6, libc::EPERM, Reason::LocalResource),
            (v4, libc::EADDRNOTAVAIL, Reason::LocalResource),
            (v4, libc::EMFILE, Reason::LocalResource),
        ] {
            assert_eq!(connecting(target, &Error::from_raw_os_error(code)).reason, expected, "{target} {code}");
        }
    }
}
