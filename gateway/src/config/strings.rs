//! Every text that a configuration holds, with the key that it stands at.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::keys::{Form, Key, Shape};
use super::reader::join;
use super::{Source, syntax};

/// A text at a key of the list.
#[derive(Debug)]
pub(crate) struct Text {
    /// The key.
    pub(crate) key: &'static Key,
    /// The key as this file has it, `numbers[1].phone`.
    pub(crate) path: String,
    /// Bytes of the file.
    pub(crate) span: Range<usize>,
    /// The text.
    pub(crate) text: String,
}

/// Finds them all, also beside and behind lines that can't be parsed.
pub(crate) fn strings(source: &Source) -> Vec<Text> {
    let mended = syntax::mend(source);
    let parsed = syntax::parse(source, &mended);
    let mut found = Found { form: source.form, list: Vec::new() };
    found.table(&parsed.table, "", "");
    found.list
}

struct Found {
    form: Form,
    list: Vec<Text>,
}

impl Found {
    fn table(&mut self, table: &DeTable<'_>, pattern: &str, path: &str) {
        for (name, value) in table.iter() {
            let pattern = join(pattern, name.get_ref());
            self.value(value.get_ref(), value.span(), &pattern, &join(path, name.get_ref()));
        }
    }

    fn value(&mut self, value: &DeValue<'_>, span: Range<usize>, pattern: &str, path: &str) {
        if let Some(table) = value.as_table() {
            self.table(table, pattern, path);
        } else if let Some(array) = value.as_array() {
            // The entries of an array of tables have a pattern of their own, those of a list don't.
            let tables = self.form.shape(pattern) == Some(Shape::Tables);
            let pattern = if tables { format!("{pattern}[]") } else { pattern.to_owned() };
            for (place, entry) in array.iter().enumerate() {
                self.value(entry.get_ref(), entry.span(), &pattern, &format!("{path}[{place}]"));
            }
        } else if let Some(text) = value.as_str()
            && let Some(key) = self.form.find(pattern)
        {
            self.list.push(Text { key, path: path.to_owned(), span, text: text.to_owned() });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn texts_are_found_in_tables_lists_and_behind_a_broken_line() {
        let text = "nonsense\n[webhook]\napp_secret = [\"file:a\", \"file:b\"]\ntls = { certificate = \"c.pem\" }\n\
                    [[crm.endpoints]]\nurl = \"http://x\"\n[[crm.endpoints]]\nca = \"d.pem\"\nstrange = \"file:e\"\n";
        let source = Source::new(Path::new("wagate.toml"), text.to_owned());
        let found: Vec<_> = strings(&source)
            .into_iter()
            .map(|found| {
                assert!(text[found.span.clone()].contains(&found.text));
                (found.key.path, found.path, found.text)
            })
            .collect();
        let at = |key, path: &str, text: &str| (key, path.to_owned(), text.to_owned());
        let expected = [
            at("webhook.app_secret", "webhook.app_secret[0]", "file:a"),
            at("webhook.app_secret", "webhook.app_secret[1]", "file:b"),
            at("webhook.tls.certificate", "webhook.tls.certificate", "c.pem"),
            at("crm.endpoints[].url", "crm.endpoints[0].url", "http://x"),
            at("crm.endpoints[].ca", "crm.endpoints[1].ca", "d.pem"),
        ];
        for one in &expected {
            assert!(found.contains(one), "{one:?} isn't in {found:?}");
        }
        assert_eq!(found.len(), expected.len(), "{found:?}");
    }
}
