//! Times for people and machines.

use std::time::{Duration, SystemTime};

/// RFC 3339 in UTC, to the second; `None` before the year 0 and after 9999.
pub fn rfc3339(seconds: i64) -> Option<String> {
    // The calendar repeats after 400 years: earlier years are written as later ones, and then counted back.
    const CYCLE: i64 = 146_097 * 86_400;
    if !(-62_167_219_200..=253_402_300_799).contains(&seconds) {
        return None;
    }
    let cycles = seconds.div_euclid(CYCLE).min(0);
    let since = Duration::from_secs(u64::try_from(seconds.checked_sub(cycles.checked_mul(CYCLE)?)?).ok()?);
    let text = humantime::format_rfc3339_seconds(SystemTime::UNIX_EPOCH.checked_add(since)?).to_string();
    let (year, rest) = text.split_at_checked(4)?;
    let year = year.parse::<i64>().ok()?.checked_add(cycles.checked_mul(400)?)?;
    Some(format!("{year:04}{rest}"))
}

/// Seconds since 1970; before it, negative.
pub fn unix_seconds(time: SystemTime) -> f64 {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => since.as_secs_f64(),
        Err(before) => -before.duration().as_secs_f64(),
    }
}

/// `12.3 ms`, `4.56 s`: three digits that matter.
pub fn short(duration: Duration) -> String {
    let millis = duration.as_secs_f64() * 1000.0;
    match millis {
        ms if ms < 9.995 => format!("{ms:.2} ms"),
        ms if ms < 99.95 => format!("{ms:.1} ms"),
        ms if ms < 999.5 => format!("{ms:.0} ms"),
        ms => format!("{:.2} s", ms / 1000.0),
    }
}

/// A span of seconds in the unit that fits: `9 days`, `5 hours`, `3 minutes`.
pub fn span(seconds: i64) -> String {
    let units = [(86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second")];
    let seconds = seconds.unsigned_abs();
    let count = |size| seconds.checked_div(size).unwrap_or_default();
    let (size, unit) = units.into_iter().find(|(size, _)| count(*size) >= 2).unwrap_or((1, "second"));
    format!("{} {unit}{}", count(size), if count(size) == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_well() {
        for (seconds, text) in [(9 * 86_400 + 5, "9 days"), (86_400, "24 hours"), (-7200, "2 hours"), (1, "1 second")] {
            assert_eq!(span(seconds), text);
        }
    }

    #[test]
    fn dates_out_of_range_are_none() {
        assert_eq!(rfc3339(0).as_deref(), Some("1970-01-01T00:00:00Z"));
        assert_eq!(rfc3339(253_402_300_799).as_deref(), Some("9999-12-31T23:59:59Z"));
        assert_eq!(rfc3339(253_402_300_800), None);
        assert_eq!(rfc3339(-1).as_deref(), Some("1969-12-31T23:59:59Z"));
        assert_eq!(rfc3339(-631_152_000).as_deref(), Some("1950-01-01T00:00:00Z"));
        assert_eq!(rfc3339(-62_167_219_200).as_deref(), Some("0000-01-01T00:00:00Z"));
        assert_eq!(rfc3339(-62_167_219_201), None);
        assert_eq!(rfc3339(i64::MIN), None);
    }

    #[test]
    fn durations_have_three_digits() {
        let texts = [1_234, 45_678, 456_789, 20_000_000].map(|micros| short(Duration::from_micros(micros)));
        assert_eq!(texts, ["1.23 ms", "45.7 ms", "457 ms", "20.00 s"]);
    }
}
