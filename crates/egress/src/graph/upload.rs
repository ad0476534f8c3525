//! A file as a multipart body.

use std::io;

use futures_util::stream::{self, Stream, StreamExt as _};
use ring::rand::{SecureRandom as _, SystemRandom};

/// The largest file that WhatsApp takes, a document: 100 MB.
pub const UPLOAD_BYTES_MAX: u64 = 100 * 1024 * 1024;
/// A MIME type is kept below this; the longest in use, those of office files, have some 75 bytes.
const MIME_BYTES_MAX: usize = 255;
/// A file name is cut behind this: what file systems take.
const NAME_BYTES_MAX: usize = 255;

/// A file that is to be uploaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Upload<'a> {
    /// What it is, such as `image/jpeg`; WhatsApp refuses a message whose file is something else.
    pub mime: &'a str,
    /// Its name, where it has one.
    pub filename: Option<&'a str>,
    /// Its length in bytes, 1 to [`UPLOAD_BYTES_MAX`].
    pub length: u64,
}

/// The framing around a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Form {
    pub(super) content_type: String,
    head: Vec<u8>,
    file: u64,
    tail: Vec<u8>,
}

impl Form {
    /// Else what is wrong with the file, in words.
    pub(super) fn new(upload: &Upload<'_>) -> Result<Self, &'static str> {
        let mut chance = [0; 16];
        // A boundary that isn't in the file: nobody who wrote it could guess these bits.
        SystemRandom::new().fill(&mut chance).map_err(|_| "the system gives no random numbers")?;
        Self::with(upload, &format!("wagate-{:032x}", u128::from_ne_bytes(chance)))
    }

    fn with(upload: &Upload<'_>, boundary: &str) -> Result<Self, &'static str> {
        if !(1..=UPLOAD_BYTES_MAX).contains(&upload.length) {
            return Err("the file is empty, or larger than WhatsApp takes");
        }
        let mime = upload.mime;
        if mime.len() > MIME_BYTES_MAX
            || !mime.contains('/')
            || !mime.bytes().all(|b| matches!(b, b' '..=b'~'))
        {
            return Err("the file's MIME type is none");
        }
        let name = quoted(upload.filename.filter(|name| !name.is_empty()).unwrap_or("file"));
        let field = |name: &str, value: &str| {
            format!("--{boundary}\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
        };
        let mut head = field("messaging_product", "whatsapp");
        head.push_str(&field("type", mime));
        head.push_str(&format!(
            "--{boundary}\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\
             content-type: {mime}\r\n\r\n"
        ));
        Ok(Self {
            content_type: format!("multipart/form-data; boundary={boundary}"),
            head: head.into_bytes(),
            file: upload.length,
            tail: format!("\r\n--{boundary}--\r\n").into_bytes(),
        })
    }

    /// The length of the whole body.
    pub(super) fn length(&self) -> u64 {
        self.head.len() as u64 + self.file + self.tail.len() as u64
    }

    /// The whole body. It fails where the file isn't as long as it was said to be.
    pub(super) fn around<S>(self, file: S) -> impl Stream<Item = io::Result<Vec<u8>>> + Send + 'static
    where
        S: Stream<Item = io::Result<Vec<u8>>> + Send + 'static,
    {
        let once = |bytes| stream::once(async move { Ok(bytes) });
        once(self.head).chain(exactly(file, self.file)).chain(once(self.tail))
    }
}

fn exactly<S>(file: S, length: u64) -> impl Stream<Item = io::Result<Vec<u8>>> + Send + 'static
where
    S: Stream<Item = io::Result<Vec<u8>>> + Send + 'static,
{
    stream::try_unfold((Box::pin(file), length), |(mut file, left)| async move {
        match file.next().await {
            Some(portion) => {
                let portion = portion?;
                let left = left.checked_sub(portion.len() as u64);
                let left = left.ok_or_else(|| io::Error::other("the file is longer than it was"))?;
                Ok(Some((portion, (file, left))))
            }
            None if left == 0 => Ok(None),
            None => Err(io::Error::other("the file is shorter than it was")),
        }
    })
}

/// A file name between quotes, as browsers write it: `"` and line ends in percents. What else
/// controls something is left out.
fn quoted(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for letter in name.chars() {
        let before = text.len();
        match letter {
            '"' => text.push_str("%22"),
            '\r' => text.push_str("%0D"),
            '\n' => text.push_str("%0A"),
            letter if letter.is_control() => {}
            letter => text.push(letter),
        }
        if text.len() > NAME_BYTES_MAX {
            text.truncate(before);
            break;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const UPLOAD: Upload<'static> = Upload { mime: "image/jpeg", filename: Some("a.jpg"), length: 5 };

    fn portions(list: &'static [&'static str]) -> impl Stream<Item = io::Result<Vec<u8>>> + Send + 'static {
        stream::iter(list.iter().map(|portion| Ok(portion.as_bytes().to_vec())))
    }

    async fn whole(form: Form, list: &'static [&'static str]) -> io::Result<String> {
        let mut body = Vec::new();
        let mut portions = Box::pin(form.around(portions(list)));
        while let Some(portion) = portions.next().await {
            body.extend(portion?);
        }
        Ok(String::from_utf8(body).unwrap())
    }

    #[tokio::test]
    async fn the_body_is_as_long_as_it_says_and_holds_the_three_fields() {
        let form = Form::with(&UPLOAD, "b0").unwrap();
        let length = form.length();
        assert_eq!(form.content_type, "multipart/form-data; boundary=b0");
        let body = whole(form, &["12", "", "345"]).await.unwrap();
        let expected = "--b0\r\ncontent-disposition: form-data; name=\"messaging_product\"\r\n\r\nwhatsapp\r\n\
            --b0\r\ncontent-disposition: form-data; name=\"type\"\r\n\r\nimage/jpeg\r\n\
            --b0\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.jpg\"\r\n\
            content-type: image/jpeg\r\n\r\n12345\r\n--b0--\r\n";
        assert_eq!(body, expected);
        assert_eq!(length, body.len() as u64);
    }

    #[tokio::test]
    async fn a_file_of_another_length_fails() {
        for list in [&["1234"][..], &["123", "456"], &[]] {
            assert!(whole(Form::with(&UPLOAD, "b0").unwrap(), list).await.is_err(), "{list:?}");
        }
    }

    #[test]
    fn nothing_breaks_out_of_its_field() {
        for mime in ["", "jpeg", "image/jpeg\r\nx: y", "image/\u{fc}", &"a/".repeat(200)] {
            assert!(Form::with(&Upload { mime, ..UPLOAD }, "b0").is_err(), "{mime}");
        }
        for length in [0, UPLOAD_BYTES_MAX + 1] {
            assert!(Form::with(&Upload { length, ..UPLOAD }, "b0").is_err(), "{length}");
        }
        assert!(Form::with(&Upload { length: UPLOAD_BYTES_MAX, ..UPLOAD }, "b0").is_ok());
        assert_eq!(quoted("a\"b\r\nc\0\u{4f60}.pdf"), "a%22b%0D%0Ac\u{4f60}.pdf");
        assert_eq!(quoted(&"\u{4f60}".repeat(100)).len(), 255);
        assert_eq!(quoted(&"\"".repeat(100)).len(), 255);
    }

    #[test]
    fn no_two_boundaries_are_the_same() {
        let one = Form::new(&UPLOAD).unwrap();
        assert_ne!(one.content_type, Form::new(&UPLOAD).unwrap().content_type);
        assert_eq!(one.content_type.len(), "multipart/form-data; boundary=wagate-".len() + 32);
    }
}
