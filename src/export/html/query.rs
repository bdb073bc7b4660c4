//! What the visitor of the list asks for: order, filter, words, page. It comes from the address of the
//! page and goes back into it, into every link.

use std::fmt::Write as _;

use super::row::{Level, Row, State};
use crate::outcome::failure::Reason;

/// The longest text searched for, in characters.
const MAX_WORDS: usize = 200;

/// The shortest and the longest time after which the page may load itself again, in seconds.
const REFRESH: std::ops::RangeInclusive<u32> = 5..=3600;

/// What to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    pub(super) sort: Sort,
    /// The other way round than the order usually is.
    pub(super) reverse: bool,
    pub(super) filter: Filter,
    /// Words that must all be found; empty: everything is.
    pub(super) words: String,
    /// From 1.
    pub(super) page: usize,
    /// Seconds after which the page loads itself again; `None`: never.
    pub(super) refresh: Option<u32>,
}

impl Default for Query {
    fn default() -> Self {
        let (sort, filter) = (Sort::State, Filter::All);
        Self { sort, reverse: false, filter, words: String::new(), page: 1, refresh: None }
    }
}

impl Query {
    /// Reads decoded pairs of names and values. An error is one line that says what to write instead.
    pub fn of<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, String> {
        let mut query = Self::default();
        let mut seen = Vec::new();
        for (name, value) in pairs {
            if seen.contains(&name) {
                return Err(format!("`{name}` is given more than once"));
            }
            match name {
                "sort" => (query.sort, query.reverse) = sort(value)?,
                "filter" => query.filter = Filter::of(value)?,
                "q" => query.words = words(value)?,
                "page" => query.page = number(value, 1..=1_000_000).ok_or("`page` is a number from 1 on")? as usize,
                "refresh" if value.is_empty() => query.refresh = None,
                "refresh" => query.refresh = Some(number(value, REFRESH).ok_or("`refresh` is from 5 to 3600 seconds")?),
                _ => return Err("known parameters are `sort`, `filter`, `q`, `page` and `refresh`".to_owned()),
            }
            seen.push(name);
        }
        Ok(query)
    }

    /// The same in another order, from its first page.
    pub(super) fn sorted(&self, sort: Sort, reverse: bool) -> Self {
        Self { sort, reverse, page: 1, ..self.clone() }
    }

    /// The same order of others, from the first page.
    pub(super) fn filtered(&self, filter: Filter) -> Self {
        Self { filter, words: String::new(), page: 1, ..self.clone() }
    }

    /// The same order of all that have these words, from the first page.
    pub(super) fn searching(&self, words: &str) -> Self {
        Self { words: words.to_owned(), ..self.filtered(Filter::All) }
    }

    /// Another page of the same.
    pub(super) fn at_page(&self, page: usize) -> Self {
        Self { page, ..self.clone() }
    }

    /// Whether a row is to be shown.
    pub(super) fn admits(&self, row: &Row<'_>) -> bool {
        self.filter.admits(row) && (self.words.is_empty() || row.has_words(&self.words.to_lowercase()))
    }

    /// The address of the list with this query, seen from the list.
    pub(super) fn address(&self) -> String {
        let mut out = String::new();
        let mut add = |name: &str, value: &str| {
            let _ = write!(out, "{}{name}={}", if out.is_empty() { '?' } else { '&' }, encoded(value));
        };
        if (self.sort, self.reverse) != (Sort::State, false) {
            add("sort", &self.sort_value());
        }
        if self.filter != Filter::All {
            add("filter", self.filter.as_str());
        }
        if !self.words.is_empty() {
            add("q", &self.words);
        }
        if self.page > 1 {
            add("page", &self.page.to_string());
        }
        if let Some(seconds) = self.refresh {
            add("refresh", &seconds.to_string());
        }
        if out.is_empty() { "./".to_owned() } else { out }
    }

    /// The value of `sort`.
    pub(super) fn sort_value(&self) -> String {
        format!("{}{}", if self.reverse { "-" } else { "" }, self.sort.as_str())
    }
}

fn sort(value: &str) -> Result<(Sort, bool), String> {
    let (name, reverse) = value.strip_prefix('-').map_or((value, false), |name| (name, true));
    let sort = Sort::ALL.into_iter().find(|sort| sort.as_str() == name);
    let known = Sort::ALL.map(Sort::as_str).join(", ");
    sort.map(|sort| (sort, reverse)).ok_or_else(|| format!("`sort` is one of {known}, or one of them after a `-`"))
}

fn words(value: &str) -> Result<String, String> {
    let fits = value.chars().count() <= MAX_WORDS;
    fits.then(|| value.trim().to_owned()).ok_or_else(|| format!("`q` has at most {MAX_WORDS} characters"))
}

fn number(value: &str, range: std::ops::RangeInclusive<u32>) -> Option<u32> {
    value.parse().ok().filter(|number| range.contains(number))
}

/// RFC 3986 §2.3: everything but the unreserved characters is percent-encoded.
fn encoded(text: &str) -> String {
    let byte = |b: u8| match b {
        b if b.is_ascii_alphanumeric() || b"-._~".contains(&b) => char::from(b).to_string(),
        b => format!("%{b:02X}"),
    };
    text.bytes().map(byte).collect()
}

/// The order of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    /// Failed first.
    State,
    /// As the targets are named.
    Target,
    /// The certificate that ends first.
    Certificate,
    /// The slowest first.
    Duration,
    /// The one probed longest ago first.
    Probed,
    /// The least successful first.
    Success,
}

impl Sort {
    pub(super) const ALL: [Self; 6] =
        [Self::State, Self::Target, Self::Certificate, Self::Duration, Self::Probed, Self::Success];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::Target => "target",
            Self::Certificate => "cert",
            Self::Duration => "duration",
            Self::Probed => "probed",
            Self::Success => "success",
        }
    }

    /// For people.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::State => "failed first",
            Self::Target => "by target",
            Self::Certificate => "certificate ending first",
            Self::Duration => "slowest first",
            Self::Probed => "longest not probed",
            Self::Success => "least successful first",
        }
    }

    /// Whether its usual order begins with the largest.
    pub(super) fn descends(self) -> bool {
        matches!(self, Self::Duration | Self::Probed)
    }

    /// What is compared; rows with `None` come last in either order.
    fn key(self, row: &Row<'_>) -> Option<f64> {
        match self {
            Self::State => Some(f64::from(row.state() as u8)),
            Self::Target => Some(row.position as f64),
            Self::Certificate => row.certificate.as_ref().map(|left| left.seconds as f64),
            Self::Duration => row.outcome.map(|outcome| outcome.findings.duration.as_secs_f64()),
            Self::Probed => row.age().map(|age| age.as_secs_f64()),
            Self::Success => row.success_ratio(),
        }
    }
}

/// Brings rows into order; those that compare equal stay in the order of their targets.
pub(super) fn sort_rows(rows: &mut [Row<'_>], query: &Query) {
    let down = query.sort.descends() != query.reverse;
    rows.sort_by(|a, b| match (query.sort.key(a), query.sort.key(b)) {
        (Some(a), Some(b)) if down => b.total_cmp(&a),
        (Some(a), Some(b)) => a.total_cmp(&b),
        (a, b) => a.is_none().cmp(&b.is_none()),
    });
}

/// Which endpoints are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Filter {
    All,
    State(State),
    /// The certificate ends soon or has ended.
    Expiring,
    /// The last probe failed for this reason.
    Reason(Reason),
}

impl Filter {
    /// Those with a word of their own, beside all.
    pub(super) const WORDS: [Self; 4] =
        [Self::State(State::Failed), Self::State(State::Ok), Self::State(State::Pending), Self::Expiring];

    fn of(value: &str) -> Result<Self, String> {
        let reasons = Reason::ALL.iter().map(|reason| Self::Reason(*reason));
        let known = [Self::All].into_iter().chain(Self::WORDS).chain(reasons);
        let none = || "`filter` is all, failed, ok, pending, expiring, or the reason of a failure".to_owned();
        known.into_iter().find(|filter| filter.as_str() == value).ok_or_else(none)
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::State(state) => state.as_str(),
            Self::Expiring => "expiring",
            Self::Reason(reason) => reason.as_str(),
        }
    }

    /// For people.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::State(State::Pending) => "not probed yet",
            Self::Expiring => "certificate ending soon",
            other => other.as_str(),
        }
    }

    pub(super) fn admits(self, row: &Row<'_>) -> bool {
        match self {
            Self::All => true,
            Self::State(state) => row.state() == state,
            Self::Expiring => row.certificate.as_ref().is_some_and(|left| left.level != Level::Good),
            Self::Reason(reason) => row.failure().is_some_and(|failure| failure.reason == reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(pairs: &[(&str, &str)]) -> Result<Query, String> {
        Query::of(pairs.iter().copied())
    }

    #[test]
    fn what_is_read_is_what_links_say() {
        for (pairs, address) in [
            (&[][..], "./"),
            (&[("sort", "state"), ("filter", "all"), ("q", " "), ("page", "1"), ("refresh", "")], "./"),
            (&[("sort", "-cert"), ("filter", "failed")], "?sort=-cert&filter=failed"),
            (&[("filter", "certificate_expired"), ("page", "2")], "?filter=certificate_expired&page=2"),
            (&[("q", "a&b=\"ü\" <c>"), ("refresh", "30")], "?q=a%26b%3D%22%C3%BC%22%20%3Cc%3E&refresh=30"),
        ] {
            assert_eq!(query(pairs).map(|query| query.address()).as_deref(), Ok(address));
        }
    }

    #[test]
    fn what_is_wrong_is_said_in_one_line() {
        let long = "x".repeat(201);
        for (name, value) in [
            ("sort", "name"),
            ("sort", "--cert"),
            ("filter", ""),
            ("filter", "Failed"),
            ("page", "0"),
            ("page", "-1"),
            ("refresh", "1"),
            ("q", &long),
            ("filer", "failed"),
        ] {
            let error = query(&[(name, value)]).unwrap_err();
            assert!(!error.contains('\n') && error.contains('`'), "{error}");
        }
    }
}
