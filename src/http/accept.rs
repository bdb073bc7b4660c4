//! Which format a scraper wants (RFC 9110 §12.5.1).

/// The formats of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// Prometheus' own protobuf messages, which alone carry native histograms.
    Protobuf,
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// The Prometheus text format 0.0.4, for everyone who does not ask for another.
    Text,
}

impl Format {
    /// The `Content-Type` of an answer.
    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Protobuf => {
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
            }
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
        }
    }

    /// The best of these formats for an `Accept` header; where they are wanted alike, the first. The text format
    /// where it asks for nothing we have.
    pub(super) fn best(offered: &[Self], accept: &str) -> Self {
        let quality = |format: &Self| accept.split(',').filter_map(|range| format.quality(range)).fold(0.0, f64::max);
        let mut best = (Self::Text, 0.0);
        for format in offered {
            if quality(format) > best.1 {
                best = (*format, quality(format));
            }
        }
        best.0
    }

    /// How much one media range wants this format; `None` if it means another.
    fn quality(self, range: &str) -> Option<f64> {
        let mut parts = range.split(';').map(str::trim);
        let media = parts.next()?.to_ascii_lowercase();
        let parameter = |name: &str| {
            parts.clone().filter_map(|part| part.split_once('=')).find(|(key, _)| key.eq_ignore_ascii_case(name))
        };
        let value = |name: &str| parameter(name).map(|(_, value)| value.trim_matches('"'));
        let version = value("version");
        let ok = match self {
            Self::Protobuf => {
                media == "application/vnd.google.protobuf"
                    && value("proto").is_none_or(|proto| proto == "io.prometheus.client.MetricFamily")
                    && value("encoding").is_none_or(|encoding| encoding == "delimited")
            }
            Self::OpenMetrics => {
                media == "application/openmetrics-text" && matches!(version, None | Some("1.0.0" | "0.0.1"))
            }
            // Whoever takes anything gets the simplest.
            Self::Text => match media.as_str() {
                "text/plain" => matches!(version, None | Some("0.0.4")),
                other => matches!(other, "text/*" | "*/*"),
            },
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
        let protobuf = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";
        let native = format!(
            "{protobuf},application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
        );
        let all = [Format::Protobuf, Format::OpenMetrics, Format::Text];
        assert_eq!(Format::best(&all[1..], &native), Format::OpenMetrics, "where protobuf is not offered");
        for (accept, format) in [
            (native.as_str(), Format::Protobuf),
            ("application/vnd.google.protobuf;encoding=text", Format::Text),
            ("application/openmetrics-text,application/vnd.google.protobuf", Format::Protobuf),
            ("application/openmetrics-text;q=0.5,*/*;q=0.9", Format::Text),
            (prometheus, Format::OpenMetrics),
            ("", Format::Text),
            ("*/*", Format::Text),
            ("text/html,application/xhtml+xml,*/*;q=0.8", Format::Text),
            ("text/plain;version=0.0.4;q=0.9,application/openmetrics-text;q=0.5", Format::Text),
            ("Application/OpenMetrics-Text; Version=\"1.0.0\"; q=0.3", Format::OpenMetrics),
            ("application/openmetrics-text;q=0", Format::Text),
            ("application/openmetrics-text;version=9.9.9", Format::Text),
        ] {
            assert_eq!(Format::best(&all, accept), format, "{accept}");
        }
    }
}
