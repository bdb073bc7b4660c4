//! The accept loop, and one connection from its arrival to its end.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::lobby::{Guest, Place};
use super::{Site, respond};
use crate::door::{Door, Refusal};

/// How long a client may take to send a request's head, also between two requests. Longer than most scrapers pause: at
/// the end of exactly their interval, theirs and ours would race.
const HEAD_TIMEOUT: Duration = Duration::from_secs(75);

/// The longest head of a request.
const MAX_HEAD: usize = 32 * 1024;

/// How long a connection takes requests. What is being answered then is still answered.
const LIFETIME: Duration = Duration::from_secs(300);

/// How long a connection may have for the last answer: a client that never reads ends here.
const LAST_ANSWER: Duration = Duration::from_secs(60);

/// How long requests under way get when the exporter stops.
const GRACE: Duration = Duration::from_secs(1);

/// How long to wait after an accept that failed for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves those whom the door lets in on a listener, until `stop`.
pub async fn serve(listener: TcpListener, site: Arc<Site>, door: Arc<Door>, stop: CancellationToken) {
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        match accepted {
            Ok((tcp, _)) => {
                let place = tokio::select! {
                    place = site.lobby.place() => place,
                    () = stop.cancelled() => break,
                };
                connections.spawn(connection(tcp, site.clone(), door.clone(), place, stop.clone()));
            }
            Err(error) => {
                // EMFILE and the like pass: the loop must outlive them.
                tracing::warn!("a connection could not be accepted: {error}");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    site.stop.cancel();
    connections.close();
    let _ = timeout(GRACE, connections.wait()).await;
}

/// One connection from its handshake to its end.
async fn connection(tcp: TcpStream, site: Arc<Site>, door: Arc<Door>, place: Place, stop: CancellationToken) {
    let leave = place.guest.leave.clone();
    let admitted = tokio::select! {
        admitted = door.admit(tcp) => admitted,
        () = stop.cancelled() => return,
        () = leave.cancelled() => return,
    };
    match admitted {
        Ok(stream) => stay(stream, service(site, door, place.guest.clone()), place, &stop).await,
        Err(error) => tracing::debug!("a connection was not let in: {error}"),
    }
}

/// A connection that has been let in. Its place is given back when all that it had of answers is free.
async fn stay(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    answers: impl Answers,
    place: Place,
    stop: &CancellationToken,
) {
    tokio::select! {
        () = converse(stream, answers, stop) => {}
        () = place.guest.leave.cancelled() => {}
    }
}

/// Answers requests, until the client has had enough, the connection has lived long enough, or `stop`. An answer under
/// way is then sent to its end: a scrape must not fail because of what came before it.
async fn converse(stream: impl AsyncRead + AsyncWrite + Unpin, answers: impl Answers, stop: &CancellationToken) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), answers);
    let mut connection = pin!(connection);
    tokio::select! {
        // A client that breaks off, is too slow or sends nonsense is its own affair.
        _ = connection.as_mut() => return,
        () = sleep(LIFETIME) => {}
        () = stop.cancelled() => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = timeout(LAST_ANSWER, connection).await;
}

/// What answers requests.
trait Answers: Service<Request<Incoming>, Response = respond::Response, Error = Infallible> {}

impl<S: Service<Request<Incoming>, Response = respond::Response, Error = Infallible>> Answers for S {}

fn service(site: Arc<Site>, door: Arc<Door>, guest: Arc<Guest>) -> impl Answers<Future: Send> {
    service_fn(move |request: Request<Incoming>| {
        let (site, door, guest) = (site.clone(), door.clone(), guest.clone());
        async move {
            let mut response = match door.check(request.headers()).await {
                Ok(()) => {
                    // Whoever has not shown a right password is not being served.
                    let served = guest.serve();
                    let mut response = site.answer(request.method(), request.uri(), request.headers()).await;
                    response.body_mut().serves(served);
                    response
                }
                Err(refusal) => refuse(refusal),
            };
            door.decorate(response.headers_mut());
            Ok(response)
        }
    })
}

fn refuse(refusal: Refusal) -> respond::Response {
    let mut response = respond::plain(refusal.status, refusal.text);
    response.headers_mut().extend(refusal.headers);
    response
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "the time between two events of a test")]
mod tests {
    use hyper::StatusCode;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
    use tokio::task::JoinHandle;

    use super::super::lobby::{Lobby, MUCH};
    use super::*;

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    const PAGE: usize = 1_000_000;

    /// A client of a server whose page is longer than what is under way at any time.
    fn client(stop: &CancellationToken) -> (DuplexStream, JoinHandle<()>) {
        let (client, server) = duplex(1000);
        let page = || async { Ok(respond::plain(StatusCode::OK, &"x".repeat(PAGE))) };
        let stop = stop.clone();
        let served = tokio::spawn(async move { converse(server, service_fn(move |_| page()), &stop).await });
        (client, served)
    }

    /// Reads the head of an answer, and so much of its body.
    async fn read(client: &mut DuplexStream, body: usize) {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(client.read_u8().await.unwrap());
        }
        client.read_exact(&mut vec![0; body]).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_scrape_at_the_end_of_a_connection_is_answered_whole() {
        let (mut client, served) = client(&CancellationToken::new());
        for pause in [60, 60, 60, 60, 59] {
            client.write_all(REQUEST).await.unwrap();
            read(&mut client, PAGE).await;
            sleep(Duration::from_secs(pause)).await;
        }
        client.write_all(REQUEST).await.unwrap();
        read(&mut client, PAGE / 2).await;
        sleep(Duration::from_secs(20)).await;
        client.read_exact(&mut vec![0; PAGE / 2]).await.unwrap();
        assert_eq!(client.read(&mut [0]).await.unwrap(), 0, "no further request is taken");
        served.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_connection_is_closed_at_its_end() {
        let (mut client, served) = client(&CancellationToken::new());
        let began = tokio::time::Instant::now();
        for pause in [LIFETIME / 5; 4] {
            client.write_all(REQUEST).await.unwrap();
            read(&mut client, PAGE).await;
            sleep(pause).await;
        }
        client.write_all(REQUEST).await.unwrap();
        read(&mut client, PAGE).await;
        assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
        served.await.unwrap();
        assert_eq!(began.elapsed().as_secs(), LIFETIME.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_never_reads_is_dropped() {
        let (mut client, served) = client(&CancellationToken::new());
        client.write_all(REQUEST).await.unwrap();
        let began = tokio::time::Instant::now();
        served.await.unwrap();
        assert_eq!(began.elapsed().as_secs(), (LIFETIME + LAST_ANSWER).as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_as_long_as_between_two_scrapes_ends_nothing() {
        let (mut client, served) = client(&CancellationToken::new());
        for pause in [30, 60, 100] {
            client.write_all(REQUEST).await.unwrap();
            read(&mut client, PAGE).await;
            sleep(Duration::from_secs(pause)).await;
        }
        assert_eq!(client.read(&mut [0]).await.unwrap(), 0, "a longer one does");
        served.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_waits_for_the_answer_under_way() {
        let stop = CancellationToken::new();
        let (mut client, served) = client(&stop);
        client.write_all(REQUEST).await.unwrap();
        read(&mut client, PAGE / 2).await;
        stop.cancel();
        client.read_exact(&mut vec![0; PAGE / 2]).await.unwrap();
        assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
        served.await.unwrap();
    }

    const LARGE: usize = 20 * 1024 * 1024;

    /// A client whose answers are large, each a page of its own, and the connection's end.
    fn guest(lobby: &Arc<Lobby>) -> (DuplexStream, JoinHandle<()>) {
        let (client, server) = duplex(1000);
        let (lobby, place) = (lobby.clone(), lobby.enter().unwrap());
        let guest = place.guest.clone();
        let answers = service_fn(move |_| {
            let (lobby, served) = (lobby.clone(), guest.serve());
            async move {
                let room = lobby.room().await;
                let pieces: Vec<_> = (0..LARGE / 32_768).map(|_| room.piece(vec![0; 32_768])).collect();
                let mut response = respond::respond(StatusCode::OK, "text/plain", pieces);
                response.body_mut().serves(served);
                Ok(response)
            }
        });
        let served = tokio::spawn(async move { stay(server, answers, place, &CancellationToken::new()).await });
        (client, served)
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_does_not_read_makes_room_and_who_reads_slowly_stays() {
        let lobby = Lobby::new(512);
        let (mut reader, read_to_end) = guest(&lobby);
        reader.write_all(REQUEST).await.unwrap();
        let reader = tokio::spawn(async move {
            read(&mut reader, 0).await;
            let mut piece = vec![0; LARGE / 100];
            for _ in 0..100 {
                reader.read_exact(&mut piece).await.unwrap();
                sleep(Duration::from_millis(900)).await;
            }
            reader
        });
        let mut deaf = Vec::new();
        for _ in 0..60 {
            let (mut client, served) = guest(&lobby);
            client.write_all(REQUEST).await.unwrap();
            sleep(Duration::from_millis(1100)).await;
            assert!(lobby.held().bytes() <= MUCH + LARGE, "{}", lobby.held().bytes());
            deaf.push((client, served));
        }
        let open = deaf.iter().filter(|(_, served)| !served.is_finished()).count();
        assert!((1..=MUCH / LARGE + 1).contains(&open), "{open} who do not read are left");
        let reader = reader.await.expect("whoever reads gets it all");
        drop((reader, deaf));
        read_to_end.await.unwrap();
        sleep(Duration::from_secs(1)).await;
        assert_eq!((lobby.held().answers(), lobby.held().bytes()), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn where_all_read_slowly_the_slowest_makes_room() {
        let lobby = Lobby::new(512);
        let mut readers = Vec::new();
        for number in 0..6_u64 {
            let (mut client, served) = guest(&lobby);
            client.write_all(REQUEST).await.unwrap();
            tokio::spawn(async move {
                while client.read_exact(&mut [0; 4000]).await.is_ok() {
                    sleep(Duration::from_millis(600 - 100 * number)).await;
                }
            });
            readers.push(served);
            sleep(Duration::from_secs(4)).await;
            assert!(lobby.held().bytes() <= MUCH + LARGE);
        }
        assert!(readers[0].is_finished(), "the slowest");
        assert!(!readers[5].is_finished(), "the last to come");
    }
}
