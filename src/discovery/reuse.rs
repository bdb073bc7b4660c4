//! What has not changed stays the very same value, so that nobody takes it for another endpoint: a light probe builds on
//! what a probe of the same endpoint saw, and the store has nothing to replace.

use std::collections::HashMap;
use std::sync::Arc;

use crate::endpoint::{Endpoint, EndpointId};

/// Puts those that were there before in the place of their equals.
pub(super) fn reuse(before: &[Arc<Endpoint>], endpoints: &mut [Arc<Endpoint>]) {
    let before: HashMap<EndpointId, &Arc<Endpoint>> = before.iter().map(|one| (one.id(), one)).collect();
    for endpoint in endpoints {
        if let Some(old) = before.get(&endpoint.id()).filter(|old| is_same(old, endpoint)) {
            *endpoint = Arc::clone(old);
        }
    }
}

/// Whether they come from the same configuration and DNS says the same of them.
fn is_same(one: &Endpoint, other: &Endpoint) -> bool {
    // All fields by name: a new one has to be thought of here.
    let Endpoint { target, host, port, address, labels, interval, pace, family, found, module, certificate_file } = one;
    let file = |endpoint: &Endpoint| endpoint.certificate_file.as_ref().map(Arc::as_ptr);
    Arc::ptr_eq(module, &other.module)
        && certificate_file.as_ref().map(Arc::as_ptr) == file(other)
        && (target, host, port, address) == (&other.target, &other.host, &other.port, &other.address)
        && (labels, interval, pace, family) == (&other.labels, &other.interval, &other.pace, &other.family)
        && *found == other.found
}
