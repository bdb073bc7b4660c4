//! Writing markup that cannot go wrong: what is opened is closed, and every text is escaped.
//!
//! Names of elements and attributes live in the program (`&'static str`). Everything else goes through
//! [`Html::text`] or the value of an attribute, and both escape: there is no way to write a text as it is.

/// The attributes of an element.
pub(super) type Attributes<'a> = &'a [(&'static str, &'a str)];

/// Markup so far; it is well-formed XML too.
#[derive(Debug, Default)]
pub(super) struct Html(String);

impl Html {
    /// An element with whatever `content` writes.
    pub(super) fn element(&mut self, name: &'static str, attributes: Attributes<'_>, content: impl FnOnce(&mut Self)) {
        self.tag(name, attributes);
        self.0.push('>');
        content(self);
        self.0.push_str("</");
        self.0.push_str(name);
        self.0.push('>');
    }

    /// An element with a text.
    pub(super) fn leaf(&mut self, name: &'static str, attributes: Attributes<'_>, text: &str) {
        self.element(name, attributes, |html| html.text(text));
    }

    /// An element that never has content, such as `<input/>`.
    pub(super) fn void(&mut self, name: &'static str, attributes: Attributes<'_>) {
        self.tag(name, attributes);
        self.0.push_str("/>");
    }

    /// A link.
    pub(super) fn link(&mut self, to: &str, text: &str) {
        self.leaf("a", &[("href", to)], text);
    }

    /// A text.
    pub(super) fn text(&mut self, text: &str) {
        text.chars().for_each(|c| self.character(c));
    }

    /// A host's name, which may be broken after each dot.
    pub(super) fn host(&mut self, name: &str) {
        for (number, label) in name.split_inclusive('.').enumerate() {
            if number > 0 {
                self.void("wbr", &[]);
            }
            self.text(label);
        }
    }

    /// The style sheet, which is a part of the program. It holds no `<` and no `&`.
    pub(super) fn style(&mut self, css: &'static str) {
        self.tag("style", &[]);
        self.0.push('>');
        self.0.push_str(css);
        self.0.push_str("</style>");
    }

    /// The page.
    pub(super) fn into_page(self) -> String {
        format!("<!DOCTYPE html>\n{}\n", self.0)
    }

    fn tag(&mut self, name: &'static str, attributes: Attributes<'_>) {
        self.0.push('<');
        self.0.push_str(name);
        for (name, value) in attributes {
            self.0.push(' ');
            self.0.push_str(name);
            self.0.push_str("=\"");
            self.text(value);
            self.0.push('"');
        }
    }

    fn character(&mut self, c: char) {
        match c {
            '&' => self.0.push_str("&amp;"),
            '<' => self.0.push_str("&lt;"),
            '>' => self.0.push_str("&gt;"),
            '"' => self.0.push_str("&quot;"),
            '\'' => self.0.push_str("&#39;"),
            // No character reference can stand for these (HTML §13.1.4, XML §2.2).
            c if c.is_control() && !matches!(c, '\n' | '\t') => self.0.push('\u{FFFD}'),
            c => self.0.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_values_cannot_leave_their_place() {
        let mut html = Html::default();
        html.leaf("a", &[("title", "\"><script>'&"), ("href", "x")], "</a><script>\0\u{1b}\"'&amp;");
        assert_eq!(
            html.0,
            "<a title=\"&quot;&gt;&lt;script&gt;&#39;&amp;\" href=\"x\">\
             &lt;/a&gt;&lt;script&gt;\u{FFFD}\u{FFFD}&quot;&#39;&amp;amp;</a>"
        );
    }

    #[test]
    fn the_style_sheet_needs_no_escape() {
        assert!(!super::super::STYLE.contains(['<', '&']));
    }
}
