//! `healthcheck`: does a running exporter answer? For containers, which have no other program to ask.

use std::io::{self, Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::complain;

/// How long the answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// What `healthcheck` is asked.
#[derive(Args)]
pub(super) struct Options {
    /// What to ask
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:10125/-/healthy")]
    url: String,
}

/// Exit 0 if the answer is 200, else 1. A health check has neither TLS nor a password: where the exporter wants
/// them it answers 400 or 401, and whoever answers so is alive.
pub(super) fn run(options: &Options) -> ExitCode {
    match status(&options.url) {
        Ok(200 | 400 | 401) => ExitCode::SUCCESS,
        Ok(status) => {
            complain(&format!("{} answered {status}", options.url));
            ExitCode::FAILURE
        }
        Err(error) => {
            complain(&format!("{} does not answer: {error}", options.url));
            ExitCode::FAILURE
        }
    }
}

fn status(url: &str) -> io::Result<u16> {
    let wrong = || io::Error::other("write a URL such as http://127.0.0.1:10125/-/healthy");
    let (host, path) = url.strip_prefix("http://").and_then(|rest| rest.split_once('/')).ok_or_else(wrong)?;
    let address = host.to_socket_addrs()?.next().ok_or_else(wrong)?;
    #[expect(clippy::disallowed_methods, reason = "asks the exporter itself, never a target")]
    let mut tcp = TcpStream::connect_timeout(&address, PATIENCE)?;
    tcp.set_read_timeout(Some(PATIENCE))?;
    let request = format!("GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    tcp.write_all(request.as_bytes())?;
    let mut head = [0; 12];
    tcp.read_exact(&mut head)?;
    let digits = head.strip_prefix(b"HTTP/1.1 ").and_then(|digits| std::str::from_utf8(digits).ok());
    digits.and_then(|digits| digits.parse().ok()).ok_or_else(|| io::Error::other("the answer is no HTTP"))
}
