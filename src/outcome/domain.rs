//! What DNS says of a domain's mail servers: facts of the domain, not of a probe.

use std::collections::BTreeMap;

use crate::endpoint::NameFault;
use crate::mail::mx::{Problem, Record};

/// The mail servers of one domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DomainFacts {
    /// What the user calls the target; the label `target`.
    pub target: String,
    /// The domain.
    pub domain: String,
    /// The user's labels.
    pub labels: BTreeMap<String, String>,
    /// The hosts that its MX records name, in the order to try; `None` when DNS has not told.
    pub hosts: Option<Vec<Record>>,
    /// What is wrong, each with the exchange that is meant, or empty.
    pub problems: Vec<(Problem, String)>,
    /// Why the last question for the MX records brought nothing; the hosts are those found before.
    pub fault: Option<NameFault>,
}
