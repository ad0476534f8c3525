//! What a person sees in a browser, and a program as JSON.

use std::collections::VecDeque;
use std::fmt::{self, Display, Write};

use serde_json::json;

use super::conversation::{Line, Tick};
use super::observed::Observed;

/// Forbids everything but the style that stands in the page.
pub(crate) const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Conversations on the page, those with the newest line first.
const SHOWN_MAX: usize = 50;
/// Lines shown of each, the newest.
const LINES_SHOWN_MAX: usize = 30;

const HEAD: &str = r#"<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="refresh" content="3"><title>Simulated CRM</title><style>
body{font:15px/1.4 system-ui,sans-serif;margin:0;background:#f3f1ec;color:#222}
header{background:#1f4d3f;color:#fff;padding:1em 1.5em}header h1{font-size:1.2em;margin:0 0 .3em}
header p{margin:0;opacity:.85}.bad{background:#b3261e;color:#fff;padding:.8em 1.5em;margin:0}
main{display:grid;grid-template-columns:repeat(auto-fill,minmax(20em,1fr));gap:1em;padding:1.5em}
section{background:#fff;border-radius:10px;padding:1em;box-shadow:0 1px 3px #0002;max-height:24em;overflow:auto}
h2{font-size:1em;margin:0 0 .6em}small{color:#777;font-weight:normal}
p.in,p.out{margin:.25em 0;padding:.35em .7em;border-radius:10px;width:fit-content;max-width:85%;overflow-wrap:anywhere}
p.in{background:#eee}p.out{background:#d6f0df;margin-left:auto}
p small{display:block;text-align:right;font-size:.75em}.read{color:#0b76b7}.failed{color:#b3261e}
</style></head><body>"#;

/// The conversations as a page.
pub(crate) fn page(observed: &Observed) -> String {
    let mut page = String::from(HEAD);
    write_page(&mut page, observed).expect("writing to a string cannot fail");
    page
}

fn write_page(page: &mut String, observed: &Observed) -> fmt::Result {
    let totals = observed.totals();
    write!(
        page,
        "<header><h1>Simulated CRM</h1><p>{} records of {} contacts and accounts in {} deliveries; {} came more \
         than once</p></header>",
        totals.records,
        totals.lanes,
        totals.deliveries,
        totals.taken - totals.records
    )?;
    for complaint in observed.complaints().iter().rev().take(5) {
        write!(page, "<p class=\"bad\">{}</p>", Escaped(&complaint.detail))?;
    }
    page.push_str("<main>");
    let newest = |lines: &VecDeque<Line>| lines.back().map(|line| line.sequence);
    let mut conversations: Vec<_> = observed.conversations.iter().collect();
    conversations.sort_by_key(|(_, conversation)| std::cmp::Reverse(newest(&conversation.lines)));
    for (lane, conversation) in conversations.into_iter().take(SHOWN_MAX) {
        let name = conversation.name.as_deref().unwrap_or("without a name");
        write!(page, "<section><h2>{} <small>{}</small></h2>", Escaped(name), Escaped(lane))?;
        let skipped = conversation.lines.len().saturating_sub(LINES_SHOWN_MAX);
        for line in conversation.lines.iter().skip(skipped) {
            let side = if line.outbound { "out" } else { "in" };
            write!(page, "<p class=\"{side}\" dir=\"auto\">{}", Escaped(&line.text))?;
            if let Some(tick) = line.tick {
                let class = match tick {
                    Tick::Read => " class=\"read\"",
                    Tick::Failed => " class=\"failed\"",
                    Tick::Accepted | Tick::Sent | Tick::Delivered => "",
                };
                write!(page, "<small{class} dir=\"ltr\">{}</small>", tick.shown())?;
            }
            page.push_str("</p>");
        }
        page.push_str("</section>");
    }
    if observed.conversations.is_empty() {
        page.push_str("<p>Nothing has arrived yet. Point the gateway's CRM endpoint here.</p>");
    }
    page.push_str("</main></body></html>\n");
    Ok(())
}

/// The newest records as they came, oldest first: `{"records": […]}`.
pub(crate) fn records(observed: &Observed) -> String {
    // Each one was read as JSON when it arrived.
    let mut json = String::from("{\"records\":[");
    for (place, record) in observed.newest.iter().enumerate() {
        if place > 0 {
            json.push_str(",\n");
        }
        json.push_str(record);
    }
    json.push_str("]}\n");
    json
}

/// The sums and complaints: `{"totals": {…}, "clean": …, "complaints": […]}`.
pub(crate) fn observed(observed: &Observed) -> String {
    let mut json = json!({
        "totals": observed.totals(),
        "clean": observed.is_clean(),
        "complaints": observed.complaints(),
    })
    .to_string();
    json.push('\n');
    json
}

/// Text from strangers, safe between tags and in quoted attributes.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                _ => f.write_char(character)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::crm::conversation::tests::{sent, status};
    use crate::crm::observed::{Keep, Wrong};
    use crate::crm::record::Record;

    #[test]
    fn whatever_strangers_write_is_shown_as_text() {
        let attack = "</p><script>alert('1')</script><img src=x onerror=\"alert(2)\">&";
        let json = json!({
            "specversion": "1.0", "id": attack, "source": "/wagate/1", "type": "wagate.message.received.v1",
            "time": "2026-11-20T22:43:15Z", "datacontenttype": "application/json",
            "sequence": "00000000000000000001",
            "data": {
                "received_at": "2026-11-20T22:43:16.042Z",
                "contact": { "id": format!("c-{attack}"), "name": attack },
                "message": { "text": attack, "type": attack },
            }
        })
        .to_string();
        let mut seen = Observed::new(Keep::Everything);
        let (record, sequence) = Record::parse(&json).unwrap();
        seen.take(&record, sequence, &json, Instant::now());
        seen.complain(Wrong::Malformed, attack.into());
        let page = page(&seen);
        assert!(!page.contains("<script") && !page.contains("<img") && !page.contains("alert('"), "{page}");
        assert_eq!(page.matches("&lt;script&gt;alert(&#39;1&#39;)").count(), 4, "{page}");
        assert!(serde_json::from_str::<serde_json::Value>(&records(&seen)).is_ok());
        assert!(serde_json::from_str::<serde_json::Value>(&observed(&seen)).is_ok());
    }

    #[test]
    fn a_reply_stands_on_its_side_and_says_how_far_it_got() {
        let mut seen = Observed::new(Keep::Everything);
        for (json, shown) in [
            (sent(2), "<p class=\"out\" dir=\"auto\">At 9.<small dir=\"ltr\">accepted</small></p>"),
            (status(3, "delivered", Some("o-1")), "At 9.<small dir=\"ltr\">✓✓ delivered</small></p>"),
            (status(4, "read", Some("o-1")), "At 9.<small class=\"read\" dir=\"ltr\">✓✓ read</small></p>"),
        ] {
            let (record, sequence) = Record::parse(&json).unwrap();
            seen.take(&record, sequence, &json, Instant::now());
            let page = page(&seen);
            assert!(page.contains(shown) && page.matches("<p class=\"out\"").count() == 1, "{page}");
        }
    }

    #[test]
    fn an_empty_crm_has_a_page() {
        assert!(page(&Observed::new(Keep::Everything)).ends_with("</html>\n"));
    }
}
