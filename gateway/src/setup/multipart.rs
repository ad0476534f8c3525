//! Forms as browsers send them (`multipart/form-data`, RFC 7578), with files or without. The body is in memory.

/// Parts of a form, at most: the fields of ours, and a configuration with its files.
const PARTS_MAX: usize = 96;
/// Bytes of a boundary, at most (RFC 2046, section 5.1.1).
const BOUNDARY_MAX: usize = 70;

/// One field or one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part<'b> {
    /// The field's name.
    pub(super) name: String,
    /// The file's own name, without a folder; `None`: it is no file.
    pub(super) file: Option<String>,
    /// What was typed, or is in the file.
    pub(super) bytes: &'b [u8],
}

/// The boundary in a `Content-Type`; `None`: it's another kind of body.
pub(super) fn boundary(content_type: &str) -> Option<&str> {
    let (kind, rest) = content_type.split_once(';')?;
    let boundary = rest.split(';').find_map(|part| part.trim().strip_prefix("boundary="))?.trim_matches('"');
    let right = kind.trim().eq_ignore_ascii_case("multipart/form-data")
        && (1..=BOUNDARY_MAX).contains(&boundary.len());
    right.then_some(boundary)
}

/// Takes a body apart; `None`: it isn't one, was cut short, or has too many parts.
pub(super) fn parts<'b>(body: &'b [u8], boundary: &str) -> Option<Vec<Part<'b>>> {
    let mark = format!("--{boundary}").into_bytes();
    let between = format!("\r\n--{boundary}").into_bytes();
    let mut rest = body.strip_prefix(mark.as_slice())?;
    let mut parts = Vec::new();
    while !rest.starts_with(b"--") {
        rest = rest.strip_prefix(b"\r\n")?;
        let head_end = find(rest, b"\r\n\r\n")?;
        let head = std::str::from_utf8(&rest[..head_end]).ok()?;
        rest = &rest[head_end + 4..];
        let end = find(rest, &between)?;
        let (name, file) = names(head)?;
        parts.push(Part { name, file, bytes: &rest[..end] });
        rest = &rest[end + between.len()..];
        if parts.len() > PARTS_MAX {
            return None;
        }
    }
    Some(parts)
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

/// The names in a part's head.
fn names(head: &str) -> Option<(String, Option<String>)> {
    let disposition = head.split("\r\n").find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-disposition").then_some(value)
    })?;
    let value = |wanted: &str| {
        let rest = &disposition[disposition.find(&format!("; {wanted}=\""))? + wanted.len() + 4..];
        // Browsers write a quote within a name as %22.
        Some(rest[..rest.find('"')?].to_owned())
    };
    let without_folder = |file: String| file.rsplit(['/', '\\']).next().unwrap_or_default().to_owned();
    Some((value("name")?, value("filename").map(without_folder)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BODY: &str = "--X\r\nContent-Disposition: form-data; name=\"phone\"\r\n\r\n+852\r\n--X\r\n\
        content-disposition: form-data; name=\"files\"; filename=\"C:\\a\\wagate.toml\"\r\n\
        Content-Type: text/plain\r\n\r\na = 1\r\n--Y\r\n\r\n--X--\r\n";

    #[test]
    fn fields_and_files_are_told_apart() {
        let parts = parts(BODY.as_bytes(), "X").unwrap();
        let part = |name: &str, file: Option<&str>, bytes| Part {
            name: name.to_owned(),
            file: file.map(str::to_owned),
            bytes,
        };
        assert_eq!(
            parts,
            [part("phone", None, &b"+852"[..]), part("files", Some("wagate.toml"), b"a = 1\r\n--Y\r\n")]
        );
        assert_eq!(boundary("multipart/form-data; boundary=----WebKit1"), Some("----WebKit1"));
        assert_eq!(boundary("Multipart/Form-Data;charset=utf-8; boundary=\"X\""), Some("X"));
        assert_eq!(boundary("application/x-www-form-urlencoded"), None);
        assert_eq!(boundary("multipart/form-data; boundary="), None);
    }

    #[test]
    fn a_body_that_is_cut_short_or_endless_is_none() {
        for end in 0..BODY.len() - 4 {
            assert_eq!(parts(&BODY.as_bytes()[..end], "X"), None, "{end}");
        }
        let one = "--X\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n";
        let many = format!("{}--X--", one.repeat(PARTS_MAX + 1));
        assert_eq!(parts(many.as_bytes(), "X"), None);
    }

    proptest! {
        #[test]
        fn no_body_makes_it_panic(body in prop::collection::vec(any::<u8>(), 0..300), cut in 0..BODY.len()) {
            let mut spoilt = BODY.as_bytes()[..cut].to_vec();
            spoilt.extend_from_slice(&body);
            let _ = parts(&spoilt, "X");
            let _ = parts(&body, "X");
            let _ = boundary(&String::from_utf8_lossy(&body));
        }
    }
}
