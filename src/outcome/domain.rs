//! What DNS says of a domain's mail servers: facts of the domain, not of a probe.

use std::collections::BTreeMap;

use crate::endpoint::NameFault;
use crate::mail::{mx, srv};

/// How many hosts of a domain or a service are probed and listed, those preferred first; all are counted.
pub const MOST_HOSTS: usize = 32;

/// The mail servers of one domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DomainFacts {
    /// What the user calls the target; the label `target`.
    pub target: String,
    /// The domain.
    pub domain: String,
    /// The user's labels.
    pub labels: BTreeMap<String, String>,
    /// Where its mail goes; `None` when the target does not ask for that.
    pub mx: Option<MxFacts>,
    /// What its users are offered; empty when the target does not ask for that, or DNS has told nothing yet.
    pub services: Vec<ServiceFacts>,
}

/// What the MX records say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MxFacts {
    /// The hosts that they name, in the order to try; `None` when DNS has not told.
    pub hosts: Option<Vec<mx::Record>>,
    /// What is wrong, each with the exchange that is meant, or empty.
    pub problems: Vec<(mx::Problem, String)>,
    /// Why the last question for the MX records brought nothing; the hosts are those found before.
    pub fault: Option<NameFault>,
}

/// What the SRV records of a service say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceFacts {
    /// The service.
    pub service: srv::Service,
    /// The hosts that they name, in the order to try; `None` when DNS has not told.
    pub hosts: Option<Vec<srv::Record>>,
    /// What is wrong, each with the host that is meant, or empty.
    pub problems: Vec<(srv::Problem, String)>,
    /// Why the last question for the records brought nothing; the hosts are those found before.
    pub fault: Option<NameFault>,
}
