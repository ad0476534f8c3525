//! A file in a multipart form.

use bytes::Bytes;

use super::files::File;
use super::refusal::Refusal;

/// The parts of an upload that are checked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Upload {
    messaging_product: Option<Vec<u8>>,
    kind: Option<Vec<u8>>,
    file: Option<(Option<String>, Vec<u8>)>,
}

/// Reads the form `body` whose boundary stands in `content_type`; Meta demands the product and the
/// file, and the file's type in either of two places.
pub(crate) fn read(content_type: &str, body: &[u8]) -> Result<File, Refusal> {
    let wrong = |why: &str| Refusal::because(100, why);
    let boundary = boundary(content_type).ok_or_else(|| wrong("The body is not a multipart form."))?;
    let upload = parts(boundary, body).ok_or_else(|| wrong("The multipart form breaks off."))?;
    if upload.messaging_product.as_deref() != Some(b"whatsapp") {
        return Err(wrong("The parameter messaging_product is required."));
    }
    let (mime, bytes) = upload.file.ok_or_else(|| wrong("The parameter file is required."))?;
    if bytes.is_empty() {
        return Err(wrong("Param file must not be empty."));
    }
    let kind = upload.kind.map(|kind| String::from_utf8_lossy(&kind).into_owned());
    let mime = kind.or(mime).ok_or_else(|| wrong("Param file must have a type."))?;
    Ok(File { mime, bytes: Bytes::from(bytes) })
}

fn boundary(content_type: &str) -> Option<&str> {
    let parameters = content_type.strip_prefix("multipart/form-data")?;
    let value = parameters.split(';').find_map(|parameter| parameter.trim().strip_prefix("boundary="))?;
    Some(value.trim_matches('"')).filter(|value| (1..=70).contains(&value.len()))
}

fn parts(boundary: &str, body: &[u8]) -> Option<Upload> {
    let mut upload = Upload::default();
    let mark = format!("\r\n--{boundary}");
    let mut rest = body.strip_prefix(&mark.as_bytes()[2..])?;
    loop {
        if rest.starts_with(b"--") {
            return Some(upload);
        }
        rest = rest.strip_prefix(b"\r\n")?;
        let head_ends = find(rest, b"\r\n\r\n")?;
        let (head, content) = (rest.get(..head_ends)?, rest.get(head_ends + 4..)?);
        let ends = find(content, mark.as_bytes())?;
        let head = String::from_utf8_lossy(head);
        let content = content.get(..ends)?;
        match name(&head) {
            Some("messaging_product") => upload.messaging_product = Some(content.to_vec()),
            Some("type") => upload.kind = Some(content.to_vec()),
            Some("file") => upload.file = Some((mime(&head), content.to_vec())),
            _ => {}
        }
        rest = rest.get(head_ends + 4 + ends + mark.len()..)?;
    }
}

fn name(head: &str) -> Option<&str> {
    head.split("; ").find_map(|part| part.trim().strip_prefix("name=\"")?.split('"').next())
}

fn mime(head: &str) -> Option<String> {
    head.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case("content-type").then(|| value.trim().to_owned())
    })
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE: &str = "multipart/form-data; boundary=abc";

    fn form(parts: &[(&str, &str)]) -> Vec<u8> {
        let mut form = String::new();
        for (head, content) in parts {
            form.push_str(&format!("--abc\r\nContent-Disposition: form-data; {head}\r\n\r\n{content}\r\n"));
        }
        form.push_str("--abc--\r\n");
        form.into_bytes()
    }

    const PRODUCT: (&str, &str) = ("name=\"messaging_product\"", "whatsapp");
    const FILE: (&str, &str) = ("name=\"file\"; filename=\"a.png\"\r\nContent-Type: image/png", "\r\n--ab\0");

    #[test]
    fn a_whole_form_is_taken() {
        let file = read(TYPE, &form(&[PRODUCT, FILE])).unwrap();
        assert_eq!((file.mime.as_str(), &file.bytes[..]), ("image/png", &b"\r\n--ab\0"[..]));
        let quoted = "multipart/form-data; boundary=\"abc\"";
        let kind = ("name=\"type\"", "image/png");
        let file = read(quoted, &form(&[kind, PRODUCT, ("name=\"file\"", "x")])).unwrap();
        assert_eq!((file.mime.as_str(), &file.bytes[..]), ("image/png", &b"x"[..]));
    }

    #[test]
    fn what_lacks_something_is_refused() {
        for parts in
            [&[FILE][..], &[PRODUCT], &[PRODUCT, ("name=\"file\"", "x")], &[PRODUCT, ("name=\"file\"", "")]]
        {
            assert_eq!(read(TYPE, &form(parts)).unwrap_err().code, Some(100), "{parts:?}");
        }
        assert!(read("application/json", &form(&[PRODUCT, FILE])).is_err());
        let whole = form(&[PRODUCT, FILE]);
        for length in 0..whole.len() - 4 {
            assert!(read(TYPE, &whole[..length]).is_err(), "{length}");
        }
    }
}
