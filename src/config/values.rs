//! Scalars of a file to values: each conversion says what is wrong and what to write instead.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::file::Node;
use super::reader::nearest;

/// Any text.
pub(super) fn text(node: &Node) -> Result<String, String> {
    match node {
        Node::Scalar(text) => Ok(text.clone()),
        other => Err(format!("{} stands here: write a text", other.kind())),
    }
}

/// The name of a file. What stands there instead may be a key, and is not shown.
pub(super) fn file_name(node: &Node) -> Result<String, String> {
    let name = text(node)?;
    if name.contains("-----BEGIN") || name.chars().any(char::is_control) {
        return Err("this is no name of a file: write the text into a file, and the file's name here".into());
    }
    Ok(name)
}

/// A duration with its unit, within bounds. (`5M` is five months to the library: the bounds catch it.)
pub(super) fn duration(bounds: RangeInclusive<Duration>) -> impl Fn(&Node) -> Result<Duration, String> {
    move |node| {
        let text = text(node)?;
        let duration = humantime::parse_duration(&text).map_err(|_| {
            let example = if text.bytes().all(|b| b.is_ascii_digit()) { format!("{text}s") } else { "30s".into() };
            format!("{text:?} is no duration: write a number with a unit, such as {example}, 500ms or 5m")
        })?;
        if bounds.contains(&duration) {
            return Ok(duration);
        }
        let (least, most) = (humantime::format_duration(*bounds.start()), humantime::format_duration(*bounds.end()));
        Err(format!("{text:?} is {}: write a duration from {least} to {most}", humantime::format_duration(duration)))
    }
}

/// A whole number within bounds.
pub(super) fn number(bounds: RangeInclusive<usize>) -> impl Fn(&Node) -> Result<usize, String> {
    move |node| {
        let text = text(node)?;
        let number = text.parse().ok().filter(|number| bounds.contains(number));
        number.ok_or_else(|| format!("{text:?}: write a whole number from {} to {}", bounds.start(), bounds.end()))
    }
}

/// A TCP port.
pub(super) fn port(node: &Node) -> Result<u16, String> {
    let text = text(node)?;
    text.parse()
        .ok()
        .filter(|port| *port > 0)
        .ok_or_else(|| format!("{text:?} is no port: write a number from 1 to 65535"))
}

/// An IP address.
pub(super) fn address(node: &Node) -> Result<IpAddr, String> {
    let text = text(node)?;
    text.parse().map_err(|_| format!("{text:?} is no IP address: write one such as 192.0.2.7 or 2001:db8::7"))
}

/// One of several words.
pub(super) fn word<T: Copy>(choices: &[(&'static str, T)]) -> impl Fn(&Node) -> Result<T, String> {
    move |node| {
        let text = text(node)?;
        let found = choices.iter().find(|(word, _)| *word == text);
        found.map(|(_, value)| *value).ok_or_else(|| {
            let words: Vec<&'static str> = choices.iter().map(|(word, _)| *word).collect();
            let hint = nearest(&text, &words).map(|near| format!(" (did you mean {near}?)")).unwrap_or_default();
            format!("{text:?} is not known here: write {}{hint}", words.join(", "))
        })
    }
}
