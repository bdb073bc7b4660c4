//! SMTP as a client that looks and leaves (RFC 5321, 3207, 4954).
//!
//! - [`reply`]: lines to replies, strictly enough to never mistake one.
//! - [`capabilities`]: what an EHLO reply offers.
//! - [`command`]: the few commands ever sent, and the name we give ourselves.
//! - [`session`]: the conversation, one state at a time.
//! - [`login`]: AUTH, one reply at a time.
//! - [`envelope`]: sender and recipient of a mail that is never sent.
//! - [`registry`]: the names IANA knows, which are the only ones that become labels.

pub mod capabilities;
pub mod command;
pub mod envelope;
pub mod login;
pub mod registry;
pub mod reply;
pub mod session;
