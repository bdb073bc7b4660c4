//! From OpenMetrics 1.0 text to the Prometheus text format 0.0.4.
//!
//! The two look alike and are not: a counter's family is named without `_total` in the one and with it in
//! the other, and 0.0.4 knows no `# UNIT` and no `# EOF`. Served under the wrong name, Prometheus drops
//! the scrape.

/// Rewrites what [`super::prometheus`] writes.
pub fn to_text_0_0_4(openmetrics: &str) -> String {
    let mut out = String::with_capacity(openmetrics.len());
    // The HELP line comes before the TYPE line, which says under which name both must go.
    let mut help: Option<(&str, &str)> = None;
    for line in openmetrics.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ');
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            let suffix = if kind == "counter" { "_total" } else { "" };
            if let Some((_, text)) = help.take() {
                out.push_str(&format!("# HELP {name}{suffix} {text}\n"));
            }
            out.push_str(&format!("# TYPE {name}{suffix} {kind}\n"));
        } else if !line.starts_with("# ") {
            out.push_str(line);
            out.push('\n');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_get_their_suffix_and_units_go() {
        let openmetrics = "# HELP a_x Help.\n# TYPE a_x counter\na_x_total{l=\"# TYPE\"} 1\n\
                           # HELP b_seconds B.\n# TYPE b_seconds gauge\n# UNIT b_seconds seconds\nb_seconds 2.0\n# EOF\n";
        let expected = "# HELP a_x_total Help.\n# TYPE a_x_total counter\na_x_total{l=\"# TYPE\"} 1\n\
                        # HELP b_seconds B.\n# TYPE b_seconds gauge\nb_seconds 2.0\n";
        assert_eq!(to_text_0_0_4(openmetrics), expected);
    }
}
