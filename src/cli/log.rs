//! Logs to standard error, as logfmt or JSON: one event a line, whatever stands in it.
//!
//! Nobody waits for the log: see [`queue`].

mod queue;

use std::fmt::{self, Write as _};
use std::io;

use clap::ValueEnum;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use queue::Queue;

/// What is logged.
#[derive(Clone, Copy, ValueEnum)]
pub(super) enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// How it is logged.
#[derive(Clone, Copy, ValueEnum)]
pub(super) enum LogFormat {
    Logfmt,
    Json,
}

/// Sees to it, when dropped, that what was logged is written.
pub(super) struct Written(Queue);

impl Drop for Written {
    fn drop(&mut self) {
        self.0.flush();
    }
}

/// Sends all events from now on to standard error, also those of faults of our own.
pub(super) fn to_stderr(level: LogLevel, format: LogFormat) -> io::Result<Written> {
    let queue = Queue::to(io::stderr())?;
    subscribe(level, format, queue.clone());
    // The standard report has many lines, and waits for its reader.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let why = panic.payload();
        let why = why.downcast_ref::<&str>().copied().or_else(|| why.downcast_ref::<String>().map(String::as_str));
        tracing::error!(place, why = why.unwrap_or_default(), "a fault in the exporter");
    }));
    Ok(Written(queue))
}

fn subscribe(level: LogLevel, format: LogFormat, queue: Queue) {
    let level = match level {
        LogLevel::Error => Level::ERROR,
        LogLevel::Warn => Level::WARN,
        LogLevel::Info => Level::INFO,
        LogLevel::Debug => Level::DEBUG,
        LogLevel::Trace => Level::TRACE,
    };
    let builder =
        tracing_subscriber::fmt().with_max_level(level).with_writer(queue).with_ansi(false).log_internal_errors(false);
    match format {
        LogFormat::Logfmt => builder.event_format(Logfmt).init(),
        LogFormat::Json => builder.json().flatten_event(true).with_current_span(false).with_span_list(false).init(),
    }
}

/// `time=… level=info msg="probe failed" target=mailgun …`
struct Logfmt;

impl<S, N> FormatEvent<S, N> for Logfmt
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        out.write_str("time=")?;
        SystemTime.format_time(&mut out)?;
        write!(out, " level={}", event.metadata().level().as_str().to_ascii_lowercase())?;
        let mut fields = Fields { message: String::new(), rest: String::new() };
        event.record(&mut fields);
        writeln!(out, " msg={}{}", Value(&fields.message), fields.rest)
    }
}

struct Fields {
    message: String,
    rest: String,
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.message);
        } else {
            // Writing to a String cannot fail.
            let _ = write!(self.rest, " {}={}", field.name(), Value(value));
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

/// A value, in quotes where it needs them; nothing in it can end the line or look like another field.
struct Value<'a>(&'a str);

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '=' | '\\');
        if !self.0.is_empty() && self.0.chars().all(plain) { f.write_str(self.0) } else { write!(f, "{:?}", self.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_cannot_end_the_line_or_forge_a_field() {
        for (value, written) in [
            ("plain-1.2", "plain-1.2"),
            ("two words", "\"two words\""),
            ("", "\"\""),
            ("a\nlevel=error", "\"a\\nlevel=error\""),
            ("say \"hi\"", "\"say \\\"hi\\\"\""),
        ] {
            assert_eq!(Value(value).to_string(), written);
        }
    }
}
