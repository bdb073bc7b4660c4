//! Tables and lists of facts, and dates in them.

use super::markup::Html;

/// `2026-11-24 15:53:25 UTC`.
pub(super) fn readable(rfc3339: &str) -> String {
    rfc3339.replace('T', " ").replace('Z', " UTC")
}

/// A name and what is known of it.
pub(super) fn fact(html: &mut Html, name: &str, content: impl FnOnce(&mut Html)) {
    html.element("div", &[], |html| {
        html.leaf("dt", &[], name);
        html.element("dd", &[], content);
    });
}

/// A name and a text.
pub(super) fn text_fact(html: &mut Html, name: &str, text: &str) {
    fact(html, name, |html| html.text(text));
}

/// A list of facts.
pub(super) fn facts(html: &mut Html, content: impl FnOnce(&mut Html)) {
    html.element("dl", &[], content);
}

/// The headings of figures.
const FIGURES: [&str; 3] = ["Time", "Reply", "Probes"];

/// A table with these headings; those of figures stand to the right, as the figures do.
pub(super) fn table(html: &mut Html, caption: &str, headings: &[&str], rows: impl FnOnce(&mut Html)) {
    html.element("table", &[], |html| {
        html.leaf("caption", &[("class", "hidden")], caption);
        html.element("thead", &[], |html| {
            html.element("tr", &[], |html| {
                for heading in headings {
                    let class: &[(&str, &str)] = if FIGURES.contains(heading) { &[("class", "number")] } else { &[] };
                    html.leaf("th", &[&[("scope", "col")], class].concat(), heading);
                }
            });
        });
        html.element("tbody", &[], rows);
    });
}
