//! The body of `POST /v1/messages` for what stands on the command line.

use serde_json::{Map, Value, json};

use super::SendMessage;

/// The message object. What is wrong with it the gateway says, and names the member.
pub(super) fn body(args: &SendMessage) -> Value {
    let mut body = Map::new();
    let mut put = |name: &str, value: Value| body.insert(name.to_owned(), value);
    put("to", json!(args.to));
    if let Some(from) = &args.from {
        put("from", json!(from));
    }
    if let Some(priority) = args.priority {
        put("priority", json!(priority.as_str()));
    }
    if let Some(text) = &args.text {
        put("type", json!("text"));
        put("text", json!({ "body": text }));
    }
    if let Some(name) = &args.template {
        put("type", json!("template"));
        put("template", template(name, args));
    }
    if let Some(name) = &args.reply {
        put("quick_reply", json!(name));
        let fields: Map<String, Value> =
            args.fields.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        put("fields", Value::Object(fields));
    }
    // The command line has no media without its kind.
    if let Some(kind) = &args.kind {
        put("type", json!(kind));
        put(kind, media(args));
    }
    Value::Object(body)
}

fn template(name: &str, args: &SendMessage) -> Value {
    let mut template = json!({ "name": name, "language": { "code": args.language } });
    if !args.params.is_empty() {
        let parameters: Vec<Value> =
            args.params.iter().map(|text| json!({ "type": "text", "text": text })).collect();
        template["components"] = json!([{ "type": "body", "parameters": parameters }]);
    }
    template
}

fn media(args: &SendMessage) -> Value {
    let members = [
        ("id", &args.media_id),
        ("link", &args.link),
        ("caption", &args.caption),
        ("filename", &args.filename),
    ];
    let given =
        members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), json!(value.as_ref()?))));
    Value::Object(given.collect())
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command};

    fn parse(line: &str) -> Result<SendMessage, String> {
        // What stands between `_` is one argument with blanks in it.
        let words = line.split(' ').map(|word| word.replace('_', " "));
        let words = ["wagate", "send"].into_iter().map(str::to_owned).chain(words);
        match Cli::try_parse_from(words) {
            Ok(Cli { command: Command::Send(args) }) => Ok(*args),
            Ok(_) => Err("another command".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn each_kind_of_message_has_its_body() {
        for (line, expected) in [
            (
                "--to +85261234567 --text It's_ready",
                json!({ "to": "+85261234567", "type": "text", "text": { "body": "It's ready" } }),
            ),
            ("--to c-1 --text --", json!({ "to": "c-1", "type": "text", "text": { "body": "--" } })),
            (
                "--to 6123_4567 --from 10 --priority campaign --template sale --language en --param Ann --param -5%",
                json!({ "to": "6123 4567", "from": "10", "priority": "campaign", "type": "template", "template": {
                    "name": "sale", "language": { "code": "en" }, "components": [{ "type": "body", "parameters": [
                        { "type": "text", "text": "Ann" }, { "type": "text", "text": "-5%" }] }] } }),
            ),
            (
                "--to US.1 --template hello --language en",
                json!({ "to": "US.1", "type": "template", "template": { "name": "hello", "language": { "code": "en" } } }),
            ),
            (
                "--to US.1 --reply thanks --field lead.name=Ann_=_A --field shop=",
                json!({ "to": "US.1", "quick_reply": "thanks", "fields": { "lead.name": "Ann = A", "shop": "" } }),
            ),
            ("--to US.1 --reply bye", json!({ "to": "US.1", "quick_reply": "bye", "fields": {} })),
            (
                "--to US.1 --link https://x.example/a.pdf --kind document --caption Bill --filename a.pdf",
                json!({ "to": "US.1", "type": "document",
                    "document": { "link": "https://x.example/a.pdf", "caption": "Bill", "filename": "a.pdf" } }),
            ),
            (
                "--to US.1 --media-id 77 --kind image",
                json!({ "to": "US.1", "type": "image", "image": { "id": "77" } }),
            ),
        ] {
            assert_eq!(body(&parse(line).unwrap()), expected, "{line}");
        }
    }

    #[test]
    fn what_does_not_go_together_is_refused_with_a_reason() {
        for (line, part) in [
            ("--text Hello", "--to"),
            ("--to 1", "--text"),
            ("--to 1 --text a --reply b", "cannot be used with"),
            ("--to 1 --template a", "--language"),
            ("--to 1 --text a --language en", "cannot be used with"),
            ("--to 1 --text a --param b", "cannot be used with"),
            ("--to 1 --text a --field b=c", "cannot be used with"),
            ("--to 1 --reply a --field b", "lead.first_name=Ann"),
            ("--to 1 --link https://x.example/", "--kind"),
            ("--to 1 --text a --kind image", "cannot be used with"),
            ("--to 1 --media-id 5 --kind picture", "possible values"),
            ("--to 1 --media-id 5 --link https://x.example/ --kind image", "cannot be used with"),
            ("--to 1 --text a --priority urgent", "reply, service or campaign"),
            ("--to 1 --text a --wait 30", "the unit is missing"),
            ("--to 1 --text a --key not_one_word", "visible ASCII"),
        ] {
            let said = parse(line).unwrap_err();
            assert!(said.contains(part), "{line}: {part:?} isn't in\n{said}");
        }
        assert_eq!(parse("--to 1 --text a --key k-7").unwrap().key.as_deref(), Some("k-7"));
    }
}
