//! Which format a scraper wants (RFC 9110 §12.5.1).

/// The formats of `/metrics`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// The Prometheus text format 0.0.4, for everyone who does not ask for another.
    Text,
}

impl Format {
    /// The `Content-Type` of an answer.
    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
        }
    }

    /// Whether it is OpenMetrics.
    pub(super) fn is_openmetrics(self) -> bool {
        self == Self::OpenMetrics
    }

    /// The best of what an `Accept` header asks for; the text format where it asks for nothing we have.
    pub(super) fn of(accept: &str) -> Self {
        let quality = |format: Self| accept.split(',').filter_map(|range| format.quality(range)).fold(0.0, f64::max);
        if quality(Self::OpenMetrics) > 0.0 && quality(Self::OpenMetrics) >= quality(Self::Text) {
            Self::OpenMetrics
        } else {
            Self::Text
        }
    }

    /// How much one media range wants this format; `None` if it means another.
    fn quality(self, range: &str) -> Option<f64> {
        let mut parts = range.split(';').map(str::trim);
        let media = parts.next()?.to_ascii_lowercase();
        let parameter = |name: &str| {
            parts.clone().filter_map(|part| part.split_once('=')).find(|(key, _)| key.eq_ignore_ascii_case(name))
        };
        let version = parameter("version").map(|(_, value)| value.trim_matches('"'));
        let ok = match self {
            Self::OpenMetrics => {
                media == "application/openmetrics-text" && matches!(version, None | Some("1.0.0" | "0.0.1"))
            }
            Self::Text => media == "text/plain" && matches!(version, None | Some("0.0.4")),
        };
        let quality = parameter("q").map_or(Some(1.0), |(_, value)| value.parse().ok())?;
        ok.then_some(quality)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_scrapers_ask_for() {
        let prometheus = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        for (accept, format) in [
            (prometheus, Format::OpenMetrics),
            ("", Format::Text),
            ("*/*", Format::Text),
            ("text/html,application/xhtml+xml,*/*;q=0.8", Format::Text),
            ("text/plain;version=0.0.4;q=0.9,application/openmetrics-text;q=0.5", Format::Text),
            ("Application/OpenMetrics-Text; Version=\"1.0.0\"; q=0.3", Format::OpenMetrics),
            ("application/openmetrics-text;q=0", Format::Text),
            ("application/openmetrics-text;version=9.9.9", Format::Text),
        ] {
            assert_eq!(Format::of(accept), format, "{accept}");
        }
    }
}
