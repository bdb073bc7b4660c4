//! What ends before our hello, which no server can be made to do from outside, every time.

use std::io::Write as _;
use std::net::TcpListener;

use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::config::{Config, adhoc};

#[tokio::test]
async fn words_before_a_reset_are_heard_though_no_hello_can_be_sent() {
    let failure = against(b"421 4.3.2 busy\r\n").await;
    assert_eq!((failure.reason, failure.code), (Reason::PlaintextOnTlsPort, Some(421)), "{failure:?}");
}

#[tokio::test]
async fn a_reset_without_a_word_is_one() {
    assert_eq!(against(b"").await.reason, Reason::Reset);
}

/// How a handshake fails with a server that has said `words` and reset the connection.
#[expect(clippy::disallowed_methods, reason = "a connection between this test and itself")]
async fn against(words: &[u8]) -> Failure {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let tcp = TcpStream::connect(address).await.unwrap();
    let (mut server, _) = listener.accept().unwrap();
    server.write_all(words).unwrap();
    SockRef::from(&server).set_linger(Some(std::time::Duration::ZERO)).unwrap();
    drop(server);
    tcp.ready(Interest::ERROR).await.unwrap();
    let module = Config::built_in().modules.get("submissions").unwrap().clone();
    let endpoint = adhoc::endpoint(&ServerName::Ip(address.ip()), address.port(), module);
    let mut run = Run::start(Arc::new(endpoint), CancellationToken::new());
    match handshake(&mut run, Stream::new(tcp)).await {
        Err(Halt::Failed(failure)) => failure,
        _ => panic!("no handshake is made, nor any long wait"),
    }
}
