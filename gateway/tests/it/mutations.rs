//! Whatever becomes of a configuration, reading it ends with an answer that makes sense.

use proptest::prelude::*;

use crate::shop::{CANARY, Shop};

const EXAMPLE: &str = include_str!("../../../docs/operating/wagate.example.toml");

/// One change of a text.
#[derive(Debug, Clone)]
enum Mutation {
    Delete { at: usize, count: usize },
    Insert { at: usize, text: String },
    Swap { one: usize, other: usize },
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let scrap = prop_oneof![
        "[ -~]{1,3}",
        "\\PC{1,2}",
        prop::sample::select(vec![
            "\n",
            "\"",
            "\"\"\"",
            "'''",
            "[",
            "]",
            "[[",
            "{",
            "}",
            "=",
            ",",
            "#",
            ".",
            "\r\n",
            "\t",
            "\u{0}",
            "\u{1b}[2J",
            "\u{feff}",
            "9999999999999999999999",
            "true",
            "1979-05-27",
            "nan",
            "\\u0000",
        ])
        .prop_map(str::to_owned),
    ];
    prop_oneof![
        (any::<usize>(), 1..40usize).prop_map(|(at, count)| Mutation::Delete { at, count }),
        (any::<usize>(), scrap).prop_map(|(at, text)| Mutation::Insert { at, text }),
        (any::<usize>(), any::<usize>()).prop_map(|(one, other)| Mutation::Swap { one, other }),
    ]
}

fn apply(text: &str, mutation: &Mutation) -> String {
    let mut characters: Vec<char> = text.chars().collect();
    let length = characters.len();
    if length == 0 {
        return String::new();
    }
    match mutation {
        Mutation::Delete { at, count } => {
            let at = at % length;
            characters.drain(at..(at + count).min(length));
        }
        Mutation::Insert { at, text } => {
            let at = at % (length + 1);
            characters.splice(at..at, text.chars());
        }
        Mutation::Swap { one, other } => {
            // Lines, as an editor's slip would.
            let mut lines: Vec<&str> = text.split('\n').collect();
            let count = lines.len();
            lines.swap(one % count, other % count);
            return lines.join("\n");
        }
    }
    characters.into_iter().collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_mutation_of_the_example_is_answered(mutations in prop::collection::vec(mutation(), 1..4)) {
        let shop = Shop::new();
        // Every secret is inline, so that a slip anywhere could show one.
        let mut text = EXAMPLE.replace("\"file:", &format!("\"{CANARY}"));
        for mutation in &mutations {
            text = apply(&text, mutation);
        }
        let problems = match shop.parse(&text) {
            Ok(loaded) => {
                prop_assert!(!loaded.warnings.refuse(), "accepted with a mistake");
                loaded.warnings
            }
            Err(problems) => {
                prop_assert!(problems.refuse(), "refused without a reason");
                problems
            }
        };
        let lines = text.lines().count().max(1);
        for problem in &problems.list {
            if let Some(span) = &problem.span {
                let (line, column) = problems.source.position(span.start);
                prop_assert!((1..=lines).contains(&line), "line {line} of {lines}: {problem:?}");
                let length = text.split('\n').nth(line - 1).unwrap().chars().count();
                prop_assert!((1..=length + 1).contains(&column), "column {column} of {length}: {problem:?}");
            }
        }
        let shown = problems.render(false);
        let _ = problems.json();
        prop_assert!(!shown.contains('\u{1b}'), "{shown}");
    }

    #[test]
    fn no_text_at_all_makes_the_reader_panic(text in "\\PC{0,200}") {
        let problems = Shop::new().report(&text);
        let _ = problems.render(true);
    }
}

/// Every single slip within a line. (One that joins a secret to a value that is none can't be
/// told from that value, so a line break stays where it is.)
#[test]
fn a_slip_of_one_place_never_shows_a_secret() {
    let shop = Shop::new();
    let text = format!(
        "[webhook]\n# not {CANARY}\npath = \"/x\"\nverify_token = \"{CANARY}\"\napp_secret = [\"{CANARY}\",\n\"{CANARY}2\"]\ntls.self_signed = true\n[api]\nlisten = \"x\"\ntoken = '{CANARY}'\n[[whatsapp.endpoints]]\ntoken = \"{CANARY}\"\n"
    );
    let mut mutations = Vec::new();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        for start in 0..line.len() {
            let deletions = 1..line.len() - start;
            mutations.extend(deletions.map(|count| Mutation::Delete { at: at + start, count }));
            for scrap in
                ["\n", "\"", "'", "\"\"\"", "[", "]", "{", "}", "=", "#", ",", ".", "x", "\t", "\u{0}"]
            {
                mutations.push(Mutation::Insert { at: at + start, text: scrap.to_owned() });
            }
        }
        at += line.len();
    }
    assert!(mutations.len() > 3_000);
    for mutation in mutations {
        let problems = shop.report(&apply(&text, &mutation));
        let shown = format!("{}{}{problems}", problems.render(false), problems.json());
        assert!(!shown.contains(CANARY), "{mutation:?}\n{shown}");
    }
}
