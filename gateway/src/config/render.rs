//! Problems as a person, or a program, wants to read them.

use std::fmt::Write;

use serde_json::{Value, json};

use super::shown::Lines;
use super::{Problem, Problems, Severity};

const BOLD: &str = "\u{1b}[1m";
const RED: &str = "\u{1b}[1;31m";
const YELLOW: &str = "\u{1b}[1;33m";
const BLUE: &str = "\u{1b}[1;34m";
const RESET: &str = "\u{1b}[0m";

/// Text with or without colours.
struct Page {
    text: String,
    colour: bool,
}

impl Page {
    fn put(&mut self, style: &str, text: &str) {
        if self.colour {
            self.text.push_str(style);
            self.text.push_str(text);
            self.text.push_str(RESET);
        } else {
            self.text.push_str(text);
        }
    }
}

impl Problems {
    /// Every problem with its place, the line it's about and what would be right; then the count.
    #[must_use]
    pub fn render(&self, colour: bool) -> String {
        let mut page = Page { text: String::new(), colour };
        let lines = Lines::of(&self.source);
        for problem in &self.list {
            self.render_one(problem, &lines, &mut page);
        }
        page.put(BOLD, &format!("{}: {}", self.source.file.display(), self.summary()));
        page.text.push('\n');
        page.text
    }

    fn render_one(&self, problem: &Problem, lines: &Lines<'_>, page: &mut Page) {
        let (style, word) = match problem.severity {
            Severity::Mistake => (RED, "error"),
            Severity::Warning => (YELLOW, "warning"),
        };
        page.put(style, word);
        page.text.push_str(": ");
        if !problem.key.is_empty() {
            page.put(BOLD, &problem.key);
            page.text.push_str(": ");
        }
        page.text.push_str(&problem.message);
        page.text.push('\n');
        let shown = problem.span.as_ref().map(|span| lines.show(span));
        let gutter = shown.as_ref().map_or(1, |shown| shown.number.to_string().len());
        let margin = " ".repeat(gutter);
        page.put(BLUE, &format!("{margin}--> "));
        page.text.push_str(&self.place(problem));
        page.text.push('\n');
        if let Some(shown) = shown {
            page.put(BLUE, &format!("{margin} |\n{} | ", shown.number));
            page.text.push_str(&shown.text);
            page.put(BLUE, &format!("\n{margin} | "));
            let (blanks, marks) = shown.marks;
            page.text.push_str(&" ".repeat(blanks));
            page.put(style, &"^".repeat(marks));
            page.text.push('\n');
        }
        if let Some(help) = &problem.help {
            page.put(BLUE, &format!("{margin} = "));
            page.text.push_str(help);
            page.text.push('\n');
        }
        page.text.push('\n');
    }

    /// The same for programs.
    #[must_use]
    pub fn json(&self) -> Value {
        let list =
            |severity| -> Vec<Value> { self.of(severity).map(|problem| self.json_one(problem)).collect() };
        json!({
            "file": self.source.file.display().to_string(),
            "ok": !self.refuse(),
            "mistakes": list(Severity::Mistake),
            "warnings": list(Severity::Warning),
        })
    }

    fn json_one(&self, problem: &Problem) -> Value {
        let position = problem.span.as_ref().map(|span| self.source.position(span.start));
        json!({
            "line": position.map(|(line, _)| line),
            "column": position.map(|(_, column)| column),
            "key": Some(&problem.key).filter(|key| !key.is_empty()),
            "message": problem.message,
            "help": problem.help,
        })
    }

    /// `2 mistakes, 1 warning`.
    #[must_use]
    pub fn summary(&self) -> String {
        let count = |severity, one: &str| match self.of(severity).count() {
            0 => None,
            1 => Some(format!("1 {one}")),
            many => Some(format!("{many} {one}s")),
        };
        let mut text = count(Severity::Mistake, "mistake").unwrap_or("no mistakes".to_owned());
        if let Some(warnings) = count(Severity::Warning, "warning") {
            write!(text, ", {warnings}").expect("a String takes everything");
        }
        text
    }
}
