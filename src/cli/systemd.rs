//! What systemd offers a service: sockets that it has opened, and a place to say that all is well.

use std::io;
use std::time::Duration;

use listenfd::ListenFd;
use sd_notify::NotifyState;
use tokio::net::TcpListener;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// The sockets that were handed over (sd_listen_fds(3)); none without socket activation.
pub(super) fn sockets() -> io::Result<Vec<TcpListener>> {
    let mut handed = ListenFd::from_env();
    let mut sockets = Vec::new();
    for number in 0..handed.len() {
        if let Some(socket) = handed.take_tcp_listener(number)? {
            socket.set_nonblocking(true)?;
            sockets.push(TcpListener::from_std(socket)?);
        }
    }
    Ok(sockets)
}

/// The exporter serves from now on.
pub(super) fn ready() {
    tell(NotifyState::Ready);
}

/// Tells the watchdog that the runtime still runs its tasks, twice as often as it wants to hear it, until the
/// stop; a runtime that hangs falls silent, and is started again.
pub(super) async fn keep_watchdog_quiet(stop: CancellationToken) {
    let Some(patience) = sd_notify::watchdog_enabled() else { return };
    let mut ticks = interval(patience.checked_div(2).unwrap_or_default().max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => tell(NotifyState::Watchdog),
            () = stop.cancelled() => break,
        }
    }
}

/// The exporter is about to stop.
pub(super) fn stopping() {
    tell(NotifyState::Stopping);
}

fn tell(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!("systemd could not be told: {error}");
    }
}
