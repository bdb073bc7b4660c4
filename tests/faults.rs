//! Nothing that a server or a network can do breaks a probe: a table of faults, each of them played.
//!
//! A row says what happens, how the probe must end, what it keeps and what it says meanwhile. Beside that
//! every row is held to the same rules, whatever happens in it (`faults/rules.rs`): one outcome in time,
//! one connection, closed by us, few bytes, legal commands in legal order, and clean text in every face.
//!
//! | file | rows |
//! | --- | --- |
//! | `faults/tcp.rs` | A: the connection |
//! | `faults/greeting.rs` | B: the greeting |
//! | `faults/ehlo.rs` | C: EHLO and HELO |
//! | `faults/starttls.rs` | D: STARTTLS |
//! | `faults/after_tls.rs` | G: inside TLS, and the farewell |
//! | `faults/dns.rs` | H: the name |
//! | `faults/scrapes.rs` | J: those who scrape |
//! | `faults/elsewhere.rs` | what other tests hold, and what cannot be played here |
//! | `faults/kit.rs` | what a row is, and how it is played |
//! | `faults/rules.rs` | what holds in every row |
//! | `faults/facts.rs` | what a probe kept, in a line |
//! | `faults/exposition.rs` | a strict reader of the exposition format |
//! | `faults/table.rs` | `tests/FAULTS.md`: written by `UPDATE=1 cargo test --test faults`, else held to the rows |
//!
//! `FAULT=A15 cargo test --test faults` plays the rows of one number alone.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "a test fails by panicking, opens its own sockets, and tells what it found"
)]

mod lab;
mod support;

#[path = "faults/after_tls.rs"]
mod after_tls;
#[path = "faults/dns.rs"]
mod dns;
#[path = "faults/ehlo.rs"]
mod ehlo;
#[path = "faults/elsewhere.rs"]
mod elsewhere;
#[path = "faults/exposition.rs"]
mod exposition;
#[path = "faults/facts.rs"]
mod facts;
#[path = "faults/greeting.rs"]
mod greeting;
#[path = "faults/kit.rs"]
mod kit;
#[path = "faults/rules.rs"]
mod rules;
#[path = "faults/scrapes.rs"]
mod scrapes;
#[path = "faults/starttls.rs"]
mod starttls;
#[path = "faults/table.rs"]
mod table;
#[path = "faults/tcp.rs"]
mod tcp;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_faults_of_the_connection() {
    kit::play(tcp::rows()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b_faults_of_the_greeting() {
    kit::play(greeting::rows()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c_faults_of_ehlo() {
    kit::play(ehlo::rows()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d_faults_of_starttls() {
    kit::play(starttls::rows()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g_faults_inside_tls_and_at_the_farewell() {
    kit::play(after_tls::rows()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h_faults_of_names() {
    kit::play(dns::rows()).await;
}
