//! The composed webhooks and the events that they become, word for word.
//!
//! `WAGATE_BLESS=1 cargo test -p wagate-records` writes the events anew; read the difference
//! against the contract before committing it.

use std::fs;

use crate::support::{composed, crate_dir, numbers, placed, read};

#[test]
fn every_composed_webhook_gives_its_golden_events() {
    let folder = crate_dir().join("tests/golden");
    let bless = std::env::var_os("WAGATE_BLESS").is_some();
    let mut wrong = Vec::new();
    for fixture in composed() {
        let events: Vec<String> = placed(wagate_records::digest(&fixture.body))
            .iter()
            .map(|record| {
                let event = wagate_records::render(record, &numbers());
                read(&event);
                String::from_utf8(event).unwrap()
            })
            .collect();
        let text = pretty(&format!("[{}]", events.join(",")));
        let path = folder.join(&fixture.file);
        if bless {
            fs::write(&path, &text).unwrap();
        } else if fs::read_to_string(&path).unwrap_or_default() != text {
            wrong.push(fixture.file);
        }
    }
    assert!(wrong.is_empty(), "not as in tests/golden: {wrong:#?}");
    let golden = fs::read_dir(folder).unwrap().count();
    assert_eq!(golden, composed().len(), "a golden file without a webhook, or the other way round");
}

/// Lays JSON out over lines without a change to the order of its members.
fn pretty(json: &str) -> String {
    let mut out = String::new();
    let mut depth = 0;
    let mut in_text = false;
    let mut chars = json.chars().peekable();
    while let Some(c) = chars.next() {
        if in_text {
            out.push(c);
            if c == '\\' {
                out.extend(chars.next());
            }
            in_text = c != '"';
            continue;
        }
        let line = |out: &mut String, depth: usize| {
            out.push('\n');
            out.extend(std::iter::repeat_n("  ", depth));
        };
        match c {
            ' ' | '\n' | '\r' | '\t' => {}
            '{' | '[' => {
                out.push(c);
                while chars.next_if(char::is_ascii_whitespace).is_some() {}
                if let Some(end) = chars.next_if(|end| matches!(end, '}' | ']')) {
                    out.push(end);
                } else {
                    depth += 1;
                    line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth -= 1;
                line(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            _ => {
                in_text = c == '"';
                out.push(c);
            }
        }
    }
    out.push('\n');
    out
}
