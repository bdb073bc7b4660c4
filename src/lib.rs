//! Monitors mail endpoints for Prometheus.
//!
//! A scheduler probes the configured SMTP ports; each probe is one polite conversation that is timed phase
//! by phase and ends in one value, the [`outcome::Outcome`]. The store keeps the last of each endpoint, and
//! the faces show them: metrics, JSON, text.
//!
//! # The house
//!
//! Modules look only down. What stands higher knows what stands lower, never the other way round
//! (`tests/architecture.rs` holds them to it).
//!
//! ```text
//!            main.rs  cli/                the program
//!               app.rs  reload.rs         wiring, life and death; the configuration again
//!    http/  discovery/  scheduler/        who asks, and when
//!       export/    store.rs    door/      faces (pure)  |  memory  |  who may come in
//!               prober/       dns/        the only sockets to targets
//!               outcome/                  what a probe found, and the verdicts (pure)
//!               config/                   what is asked of us: a file to values
//!               endpoint.rs  search.rs    those values, which cannot be wrong
//!       mail/   hello/   cert/            what the standards say (pure)
//!       proxy/                            what is said to proxies (pure)
//!    phase.rs  histogram.rs               plain words and figures
//!    process.rs  descriptors.rs           what the system says of this process, and allows it
//! ```
//!
//! # Where is …?
//!
//! | you look for | go to |
//! | --- | --- |
//! | a metric: its name, help, and where its value comes from | [`export::prometheus`], `catalogue.rs` |
//! | the names of blackbox_exporter, for `/probe` | [`export::blackbox`] |
//! | how metrics look on the wire: text and protobuf | `export::wire` |
//! | why a probe failed: the reasons, and what people are told to do | [`outcome::failure`] |
//! | what makes a probe a success | [`outcome::verdict`] |
//! | whether a host shows one certificate everywhere, and the one in its file | [`outcome::siblings`], [`outcome::on_disk`] |
//! | whether a port is blocked, and by whom | [`outcome::port_state`] |
//! | what people are told about it, and which port they may use instead | [`outcome::port_advice`] |
//! | what is sent to a server, and when | [`mail::smtp::session`] |
//! | how it logs in, and how it asks about a mail | [`mail::sasl`], [`mail::smtp::login`], [`mail::smtp::envelope`] |
//! | what a password may show of itself: nothing | [`mail::secret`] |
//! | how a reply or an EHLO list is read | [`mail::smtp::reply`], [`mail::smtp::capabilities`] |
//! | why a certificate is not valid | [`cert::verdict`] |
//! | what is remembered of certificates seen before | [`cert::chain`] |
//! | what many outcomes have in common, and is kept once | [`outcome::alike`] |
//! | what is seen of a server with old TLS | [`hello`], [`prober`] |
//! | sockets, deadlines, the clock of a phase | [`prober`] |
//! | when an endpoint is probed | [`scheduler::plan`] |
//! | on which thread it is probed | [`scheduler::workers`] |
//! | how many probes run at once, and what one does that has to wait | [`prober::seat`], [`scheduler`], `places.rs` |
//! | what a failure changes about that: retries, another interval, light probes | [`outcome::pace`] |
//! | what is said to a proxy, and whose fault it is that there is no tunnel | [`proxy`] |
//! | what is wrong with a domain's MX and SRV records | [`mail::mx`], [`mail::srv`] |
//! | which endpoints DNS makes of a target, and when it is asked again | [`discovery`] |
//! | a key of the configuration, and its errors | [`config`] |
//! | a route | [`http`] |
//! | the status pages | [`export::html`] |
//! | TLS, passwords and limits of our own server | [`door`], [`config::web`] |
//! | a flag of the command line | [`cli`] |
//! | who may have how many file descriptors | [`descriptors`] |
//!
//! # How it thinks
//!
//! - **One value carries the probe.** A failed probe is an outcome too, and what was found before the
//!   failure survives.
//! - **Facts, then judgement.** "Expired" and "no STARTTLS" are facts. Success is a verdict from the
//!   module's expectations, in one pure file.
//! - **The protocol does no I/O.** A session is fed bytes and says what to do; one driver does it.
//! - **Words are a contract.** Reasons form a closed set, chosen by type where the error happens.
//! - **Read leniently, report precisely, bound everything.**
//! - **Nothing panics.** What cannot be proven is asked: `get`, `split_first`, `checked_…`, `saturating_…`. The
//!   lints below and in `Cargo.toml` see to it; `fuzz/` tries it.

#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects, clippy::indexing_slicing, clippy::string_slice))]
#![cfg_attr(not(test), deny(clippy::get_unwrap, clippy::unimplemented, clippy::unreachable))]

pub mod app;
pub mod cert;
pub mod cli;
pub mod config;
pub mod descriptors;
pub mod discovery;
pub mod dns;
pub mod door;
pub mod endpoint;
pub mod export;
pub mod hello;
pub mod histogram;
pub mod http;
pub mod mail;
pub mod outcome;
pub mod phase;
pub mod prober;
pub mod process;
pub mod proxy;
pub mod reload;
pub mod scheduler;
pub mod search;
pub mod store;
