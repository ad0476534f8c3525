//! The pages: plain HTML that a telephone shows well, without scripts. Everything that isn't ours is escaped.

use std::fmt::Write as _;

use super::fields::{self, Field, Files, Kind, Typed};
use super::guard::{Made, Session};
use super::told::Told;

/// The style, served as a file of its own so that nothing else may be one.
pub(super) const STYLE: &str = include_str!("style.css");

/// Text as HTML shows it, also within quotes.
pub(super) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

/// A whole page; `body` is HTML already.
fn page(title: &str, name: &str, body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title} - {name}</title>\n<link rel=\"stylesheet\" href=\"/style.css\">\n</head>\n<body>\n\
         <header><p class=\"mark\">wagate</p><p class=\"name\">{name}</p></header>\n<main>\n{body}\n</main>\n\
         </body>\n</html>\n",
        title = escaped(title),
        name = escaped(name),
    )
}

/// Something that went wrong, above everything else.
fn notice(title: &str, text: &str) -> String {
    let detail = if text.trim().is_empty() {
        String::new()
    } else {
        format!("<pre>{}</pre>", escaped(text.trim_end()))
    };
    format!("<section class=\"wrong\" role=\"alert\"><h2>{}</h2>{detail}</section>\n", escaped(title))
}

/// The first page: what this is, what was wrong with a card's configuration, and the question for the code.
/// `refused`: what is wrong with the code.
pub(super) fn claim(name: &str, mistakes: &str, refused: Option<&str>) -> String {
    let mut body = "<h1>This box isn\u{2019}t set up yet</h1>\n\
        <p>It keeps the store\u{2019}s WhatsApp messages safe and hands them to the CRM. Setting it up takes a few \
        minutes.</p>\n"
        .to_owned();
    if !mistakes.trim().is_empty() {
        body.push_str(&notice("There is a mistake in the configuration on the card or stick", mistakes));
    }
    let wrong = refused
        .map_or(String::new(), |text| format!("<p class=\"error\" role=\"alert\">{}</p>", escaped(text)));
    let _ = write!(
        body,
        "<form class=\"card\" method=\"post\" action=\"/claim\" enctype=\"multipart/form-data\">\n\
         <h2>First, the code</h2>\n<p>Eight letters and digits. They stand in the file <b>wagate-setup.txt</b> on the \
         box\u{2019}s card, and on its serial line.</p>\n\
         <label for=\"code\">Code</label>\n\
         <input class=\"code\" id=\"code\" name=\"code\" required maxlength=\"20\" autocomplete=\"off\" \
         autocapitalize=\"characters\" spellcheck=\"false\" placeholder=\"ABCD-EFGH\" autofocus>\n{wrong}\
         <button>Go on</button>\n</form>\n\
         <p class=\"small\">Instead of this page you can put a <b>wagate.toml</b> on the card, or on a USB stick named \
         WAGATE, and switch the box off and on.</p>"
    );
    page("Set up", name, &body)
}

/// The page with the form; `typed` is what was there before, `told` what is wrong with it.
pub(super) fn form(name: &str, session: &Session, typed: &Typed, told: &Told) -> String {
    let mut body = "<h1>Set up this box</h1>\n".to_owned();
    if !told.other.trim().is_empty() {
        body.push_str(&notice("The box can\u{2019}t use this yet", &told.other));
    } else if !told.beside.is_empty() {
        body.push_str(&notice("Something isn\u{2019}t right yet: see the fields marked below", ""));
    }
    let hidden = format!("<input type=\"hidden\" name=\"form\" value=\"{}\">\n", escaped(&session.form));
    let _ = write!(
        body,
        "<form method=\"post\" action=\"/configure\" enctype=\"multipart/form-data\" novalidate>\n{hidden}"
    );
    let fixed = fields::NETWORK
        .iter()
        .any(|field| typed.contains_key(field.name) || told.beside.contains_key(field.name));
    for (title, fields, open) in [
        ("Meta\u{2019}s app", fields::META, None),
        ("The WhatsApp number", fields::NUMBER, None),
        ("The CRM", fields::CRM, None),
        // Without one that is right Meta doesn't reach the box: nobody shall overlook it.
        ("Certificate for Meta", fields::TLS, None),
        ("Network", fields::NETWORK, Some(fixed)),
    ] {
        let inside: String = fields.iter().map(|field| input(field, typed, told, &session.made)).collect();
        let _ = match open {
            None => write!(body, "<fieldset class=\"card\"><legend>{title}</legend>\n{inside}</fieldset>\n"),
            Some(open) => {
                let open = if open { " open" } else { "" };
                write!(
                    body,
                    "<details class=\"card\"{open}><summary><b>{title}</b> automatic (DHCP)</summary>\n{inside}</details>\n"
                )
            }
        };
    }
    let _ = write!(
        body,
        "<button>Set up</button>\n</form>\n\
         <form class=\"card other\" method=\"post\" action=\"/upload\" enctype=\"multipart/form-data\">\n{hidden}\
         <h2>Or hand over a configuration that you have</h2>\n\
         <label for=\"files\">wagate.toml, and all files that it names</label>\n\
         <input id=\"files\" type=\"file\" name=\"files\" multiple required>\n\
         <button class=\"second\">Hand over</button>\n</form>"
    );
    page("Set up", name, &body)
}

fn input(field: &Field, typed: &Typed, told: &Told, made: &Made) -> String {
    let Field { name, label, hint, example, kind, .. } = field;
    let value = match typed.get(name) {
        Some(text) => text.as_str(),
        None if *name == "verify_token" && typed.is_empty() => &made.verify_token,
        None if *name == "timezone" && typed.is_empty() => example,
        None => "",
    };
    let attributes = match kind {
        Kind::File => "type=\"file\"".to_owned(),
        Kind::Secret | Kind::OptionalSecret => {
            format!("type=\"password\" autocomplete=\"off\" value=\"{}\"", escaped(value))
        }
        Kind::Needed | Kind::Optional => format!(
            "type=\"text\" autocomplete=\"off\" autocapitalize=\"none\" spellcheck=\"false\" placeholder=\"{}\" value=\"{}\"",
            escaped(example),
            escaped(value)
        ),
    };
    let optional = if matches!(kind, Kind::Needed | Kind::Secret) {
        ""
    } else {
        " <span class=\"small\">optional</span>"
    };
    let (class, wrong) = match told.beside.get(name) {
        Some(text) => (
            " aria-invalid=\"true\"",
            format!("<p class=\"error\" id=\"{name}-error\">{}</p>\n", escaped(text)),
        ),
        None => ("", String::new()),
    };
    format!(
        "<div class=\"field\"><label for=\"{name}\">{label}{optional}</label>\n\
         <input id=\"{name}\" name=\"{name}\" {attributes}{class}>\n{wrong}<p class=\"hint\">{}</p></div>\n",
        escaped(hint)
    )
}

/// The last page: the box has its configuration. `own`: those made here, with secrets that are shown this once.
pub(super) fn done(name: &str, own: Option<(&Typed, &Files, &Made)>) -> String {
    let mut body = "<h1>Done</h1>\n<p>The box has taken its configuration and starts with it now. This page, and its code, \
        end here.</p>\n"
        .to_owned();
    let host = format!("{name}.local");
    if let Some((typed, files, made)) = own {
        let mut once = vec![("API token, for the CRM", made.api_token.as_str())];
        if files.contains_key("crm_secret") {
            once.push(("Signing secret, with which the CRM checks what comes", made.crm_secret.as_str()));
        }
        body.push_str("<section class=\"card\"><h2>Write these down now</h2>\n<p>The box has made them, and shows them this once.</p>\n<dl>");
        for (what, secret) in once {
            let _ = write!(body, "<dt>{what}</dt><dd><code>{}</code></dd>", escaped(secret));
        }
        body.push_str("</dl></section>\n");
        let callback = match fields::first_name(typed) {
            Some(public) => format!("<code>https://{}/webhook</code>", escaped(public)),
            None => {
                "the address at which Meta reaches this box, with <code>/webhook</code> behind it".to_owned()
            }
        };
        let _ = write!(
            body,
            "<section class=\"card\"><h2>What comes next</h2>\n<ol>\n\
             <li>The CRM speaks to the box at <code>http://{0}:8080</code>, or at its address in place of the name, with \
             the API token.</li>\n\
             <li>In Meta\u{2019}s App Dashboard, WhatsApp, Configuration: {callback}, and the verify token.</li>\n\
             <li><code>http://{0}:8080/healthz</code> answers once the box works.</li>\n</ol></section>",
            escaped(&host)
        );
    } else {
        let _ = write!(
            body,
            "<section class=\"card\"><h2>What comes next</h2>\n<p>The box answers where its configuration says: the API at \
             <code>[api] listen</code>, port 8080 if it says nothing else, by the name <code>{}</code> or its address. \
             <code>/healthz</code> there answers once the box works.</p></section>",
            escaped(&host)
        );
    }
    page("Done", name, &body)
}

/// A page that only says something.
pub(super) fn plain(name: &str, title: &str, text: &str) -> String {
    let body =
        format!("<h1>{}</h1>\n<p>{}</p>\n<p><a href=\"/\">Back</a></p>", escaped(title), escaped(text));
    page(title, name, &body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_shown_can_be_html() {
        let evil = "\"'><script>alert(1)</script>&";
        let typed: Typed = fields::all().map(|field| (field.name, evil.to_owned())).collect();
        let beside = fields::all().map(|field| (field.name, evil.to_owned())).collect();
        let told = Told { beside, other: evil.to_owned() };
        let mut guard = super::super::guard::Guard::new("ACDEFGHJ");
        let now = std::time::Instant::now();
        let super::super::guard::Claim::Right(id) = guard.claim("ACDEFGHJ", now).unwrap() else { panic!() };
        let session = guard.session(&id, now).unwrap();
        let pages = [
            claim(evil, evil, Some(evil)),
            form(evil, &session, &typed, &told),
            done(evil, Some((&typed, &Files::new(), &session.made))),
            done(evil, None),
            plain(evil, evil, evil),
        ];
        for page in pages {
            assert!(!page.contains("<script"), "{page}");
            assert!(!page.contains("'>") && !page.contains("\"'"), "{page}");
            assert!(page.contains("&lt;script&gt;"));
            assert!(!page.contains("style=") && !page.contains("<style"), "the policy forbids it: {page}");
        }
    }
}
