//! `serve`: probe on schedule, answer HTTP, until SIGTERM or SIGINT.

use std::io;
use std::net::{Ipv6Addr, SocketAddr, ToSocketAddrs as _};
use std::process::ExitCode;

use clap::Args;
use socket2::{Domain, Socket, Type};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::log::{self, LogFormat, LogLevel};
use super::systemd;
use super::{Files, USAGE, complain, runtime};
use crate::app::App;
use crate::descriptors;
use crate::reload::Handle;

/// How many connections may wait to be accepted.
const BACKLOG: i32 = 1024;

/// What `serve` is asked.
#[derive(Args)]
pub(super) struct Options {
    #[command(flatten)]
    files: Files,
    /// Where to serve HTTP: host:port, or :port for all addresses; may be given several times
    #[arg(long = "web.listen-address", value_name = "ADDRESS", default_value = ":10125")]
    listen: Vec<String>,
    /// The path under which everything is served; by default that of --web.external-url
    #[arg(long = "web.route-prefix", value_name = "PATH")]
    route_prefix: Option<String>,
    /// Where people reach the exporter, if a proxy stands before it: in links and lines to copy
    #[arg(long = "web.external-url", value_name = "URL", value_parser = external_url)]
    external_url: Option<String>,
    /// What is logged
    #[arg(long = "log.level", value_name = "LEVEL", default_value = "info")]
    level: LogLevel,
    /// How it is logged
    #[arg(long = "log.format", value_name = "FORMAT", default_value = "logfmt")]
    format: LogFormat,
}

impl Options {
    /// As Prometheus has it: what stands before the exporter passes the path on.
    fn route_prefix(&self) -> &str {
        let external = self.external_url.as_deref().and_then(|url| url.split_once("://"));
        let path = external.and_then(|(_, rest)| rest.find('/').and_then(|slash| rest.get(slash..)));
        self.route_prefix.as_deref().or(path).unwrap_or("/")
    }
}

fn external_url(text: &str) -> Result<String, String> {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let ok = rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
        && text.bytes().all(|b| b.is_ascii_graphic() && !b"<>\"'?#".contains(&b));
    ok.then(|| text.to_owned()).ok_or_else(|| "write a URL such as https://mon.example.org/mail".to_owned())
}

pub(super) fn run(options: &Options) -> ExitCode {
    let _written = match log::to_stderr(options.level, options.format) {
        Ok(written) => written,
        Err(error) => {
            complain(&format!(
                "mail_endpoint_exporter: no thread can be started for the log: {error}; raise the limit of processes (ulimit -u)"
            ));
            return ExitCode::FAILURE;
        }
    };
    descriptors::raise_limit();
    let Some((config, door)) = options.files.load() else { return ExitCode::FAILURE };
    for warning in config.warnings.iter().chain(door.warnings()) {
        tracing::warn!("{warning}");
    }
    let result = runtime().and_then(|runtime| {
        let served = runtime.block_on(async {
            let listeners = listeners(&options.listen)?;
            let tls = door.speaks_tls();
            let app = App::new(&config, Some(&options.files.config))
                .with_route_prefix(&prefix(options.route_prefix())?)
                .with_external_url(options.external_url.as_deref())
                .with_door(door);
            for listener in &listeners {
                let address = listener.local_addr().map(|address| address.to_string()).unwrap_or_default();
                tracing::info!(%address, tls, endpoints = config.endpoints.len(), "serving metrics");
            }
            let stop = CancellationToken::new();
            tokio::spawn(obey_signals(stop.clone(), app.reload_handle()));
            tokio::spawn(systemd::keep_watchdog_quiet(stop.clone()));
            systemd::ready();
            app.run(listeners, stop).await;
            tracing::info!("stopped");
            Ok(())
        });
        // What is still being read, from a disk that hangs perhaps, holds up nobody.
        runtime.shutdown_background();
        served
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            complain(&format!("mail_endpoint_exporter: {why}"));
            ExitCode::from(USAGE)
        }
    }
}

fn prefix(text: &str) -> Result<String, String> {
    let trimmed = text.trim_end_matches('/');
    let ok = trimmed.is_empty()
        || (trimmed.starts_with('/') && trimmed.bytes().all(|b| b.is_ascii_graphic() && !b"<>\"'?#".contains(&b)));
    ok.then(|| trimmed.to_owned())
        .ok_or_else(|| format!("--web.route-prefix {text:?} is no path: write one such as /mail"))
}

/// The sockets that systemd has opened, or those of the addresses.
fn listeners(addresses: &[String]) -> Result<Vec<TcpListener>, String> {
    let handed = systemd::sockets().map_err(|error| format!("the sockets of systemd cannot be used: {error}"))?;
    if !handed.is_empty() {
        return Ok(handed);
    }
    addresses.iter().map(|text| listen(text)).collect()
}

/// `:10125` is every address of this machine, IPv4 and IPv6.
fn listen(text: &str) -> Result<TcpListener, String> {
    let wrong = |why: String| format!("--web.listen-address {text:?} cannot be used: {why}");
    let no_address = || wrong("write host:port or :port, such as 127.0.0.1:10125".into());
    let addresses: Vec<SocketAddr> = match text.strip_prefix(':') {
        Some(port) => {
            let port: u16 = port.parse().map_err(|_| no_address())?;
            vec![(Ipv6Addr::UNSPECIFIED, port).into(), ([0, 0, 0, 0], port).into()]
        }
        None => text.to_socket_addrs().map_err(|_| no_address())?.collect(),
    };
    let mut result = Err(no_address());
    for address in addresses {
        result = bind(address).map_err(|error| wrong(error.to_string()));
        if result.is_ok() {
            break;
        }
    }
    result
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    if address.is_ipv6() && address.ip().is_unspecified() {
        // IPv4 too, whatever the system's default is.
        socket.set_only_v6(false)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// SIGTERM and SIGINT stop, SIGHUP loads the configuration again: from the call on, not only once the future runs, for
/// until then they would end the program on the spot.
#[cfg(unix)]
fn obey_signals(stop: CancellationToken, reload: Handle) -> impl Future<Output = ()> {
    use tokio::signal::unix::{SignalKind, signal};
    let signals = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()), signal(SignalKind::hangup()));
    async move {
        let (Ok(mut terminate), Ok(mut interrupt), Ok(mut hang_up)) = signals else {
            tracing::error!("signals cannot be received: only SIGKILL will stop the exporter");
            return;
        };
        loop {
            tokio::select! {
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
                _ = hang_up.recv() => {
                    let reload = reload.clone();
                    // What came of it is in the log and the metrics. Meanwhile a signal to stop is heard.
                    tokio::spawn(async move { drop(reload.reload().await) });
                }
            }
        }
        systemd::stopping();
        stop.cancel();
        tracing::info!("stopping");
    }
}

#[cfg(not(unix))]
async fn obey_signals(stop: CancellationToken, _reload: Handle) {
    if tokio::signal::ctrl_c().await.is_ok() {
        stop.cancel();
    }
}
