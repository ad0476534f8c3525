//! How serious a line of another process is, as far as it says so.

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Severity {
    /// It says that it's information, or less.
    Usual,
    /// It says that it's a warning or an error.
    Serious,
    /// It says nothing: no line of a log.
    Unknown,
}

/// The word stands behind `"level":` in JSON, and second in a line for people, behind the time.
pub(super) fn severity(line: &str) -> Severity {
    let word = match line.split_once("\"level\":\"") {
        Some((_, rest)) => rest.split('"').next(),
        // `gateway: 2026-11-22T07:00:00.000000Z  INFO wagate::app: ...`
        None => line.split_whitespace().take(3).find(|word| of(word) != Severity::Unknown),
    };
    word.map_or(Severity::Unknown, of)
}

fn of(word: &str) -> Severity {
    match word {
        "ERROR" | "WARN" => Severity::Serious,
        "INFO" | "DEBUG" | "TRACE" => Severity::Usual,
        _ => Severity::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_level_is_found_where_it_stands() {
        for (line, expected) in [
            (r#"gateway: {"timestamp":"2026","level":"INFO","message":"an ERROR within"}"#, Severity::Usual),
            (r#"gateway: {"timestamp":"2026","level":"WARN","message":"x"}"#, Severity::Serious),
            ("gateway: 2026-11-22T07:00:00Z ERROR wagate::app: the disk", Severity::Serious),
            ("gateway: 2026-11-22T07:00:00Z  INFO wagate::app: no ERROR", Severity::Usual),
            ("gateway: thread 'main' panicked at src/main.rs:1", Severity::Unknown),
            ("", Severity::Unknown),
        ] {
            assert_eq!(severity(line), expected, "{line}");
        }
    }
}
