//! What a certificate says, and whether it may be believed.
//!
//! - [`facts`]: dates, names, key and signature out of the DER, whatever the verdict will be.
//! - [`dates`]: when it is valid, however that is written.
//! - `der`: the walk through the encoding.
//! - [`chain`]: what has been read and verified before is not read and verified again.
//! - [`links`]: which certificates of a chain have to do with its leaf.
//! - [`name`]: host names, and which certificates are good for them (RFC 9525).
//! - [`on_file`]: the certificate that a server ought to show, out of its file.
//! - [`roots`]: the trust anchors, and the question whether a chain leads to one.
//! - [`verdict`]: every reason why a chain is not valid, not just the first.
//!
//! Nothing here reads a clock: the time to judge at is an argument. Revocation is not checked.

pub mod chain;
pub mod dates;
mod der;
pub mod facts;
pub mod links;
pub mod name;
pub mod on_file;
pub mod roots;
pub mod verdict;
