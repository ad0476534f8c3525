//! A body in chunks (RFC 9112, section 7.1).

use super::answer::Garbage;

/// Digits of a chunk's size; 16 would be all of 64 bits.
const SIZE_DIGITS_MAX: u8 = 15;

/// Where in a chunked body the next byte stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Chunks {
    /// In the size of a chunk.
    Size { size: u64, digits: u8 },
    /// Behind the size: what stands here until the line's end means nothing to us.
    Extension { size: u64 },
    /// In the content of a chunk.
    Content { left: u64 },
    /// In the line end behind the content.
    End,
    /// In the trailer, which ends with an empty line.
    Trailer { empty: bool },
    /// Behind it all.
    Over,
}

impl Chunks {
    pub(super) const START: Self = Self::Size { size: 0, digits: 0 };

    /// Takes the next bytes, and hands content on to `keep`. Returns how many bytes belonged to
    /// the body: all of them, unless it is [`Chunks::Over`] then.
    pub(super) fn feed(&mut self, bytes: &[u8], mut keep: impl FnMut(&[u8])) -> Result<usize, Garbage> {
        let mut place = 0;
        while let Some(&byte) = bytes.get(place) {
            if let Self::Content { left } = *self {
                let there = bytes.len() - place;
                let taken = usize::try_from(left).map_or(there, |left| left.min(there));
                keep(&bytes[place..place + taken]);
                place += taken;
                let left = left - taken as u64;
                *self = if left == 0 { Self::End } else { Self::Content { left } };
                continue;
            }
            if *self == Self::Over {
                break;
            }
            place += 1;
            *self = self.after(byte)?;
        }
        Ok(place)
    }

    fn after(self, byte: u8) -> Result<Self, Garbage> {
        Ok(match (self, byte) {
            (Self::Size { size, digits }, _) if byte.is_ascii_hexdigit() => {
                if digits == SIZE_DIGITS_MAX {
                    return Err(Garbage("a chunk of the answer is too large"));
                }
                let digit = char::from(byte).to_digit(16).map_or(0, u64::from);
                Self::Size { size: size << 4 | digit, digits: digits + 1 }
            }
            (Self::Size { digits: 0, .. }, _) => return Err(Garbage("a chunk of the answer has no size")),
            (Self::Size { size, .. } | Self::Extension { size }, b'\n') if size == 0 => {
                Self::Trailer { empty: true }
            }
            (Self::Size { size, .. } | Self::Extension { size }, b'\n') => Self::Content { left: size },
            (Self::Size { size, .. }, b'\r' | b';' | b' ' | b'\t') | (Self::Extension { size }, _) => {
                Self::Extension { size }
            }
            (Self::End, b'\r') => Self::End,
            (Self::End, b'\n') => Self::START,
            (Self::Size { .. } | Self::End, _) => {
                return Err(Garbage("the chunks of the answer make no sense"));
            }
            (Self::Trailer { empty: true }, b'\n') | (Self::Over, _) => Self::Over,
            (Self::Trailer { .. }, b'\n') => Self::Trailer { empty: true },
            (Self::Trailer { empty }, b'\r') => Self::Trailer { empty },
            (Self::Trailer { .. }, _) => Self::Trailer { empty: false },
            // Whole runs of content are taken above.
            (content @ Self::Content { .. }, _) => content,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(portions: &[&[u8]]) -> Result<(Vec<u8>, Chunks, usize), Garbage> {
        let (mut chunks, mut content, mut taken) = (Chunks::START, Vec::new(), 0);
        for portion in portions {
            taken += chunks.feed(portion, |bytes| content.extend_from_slice(bytes))?;
        }
        Ok((content, chunks, taken))
    }

    #[test]
    fn a_body_is_the_same_in_whatever_portions_it_comes() {
        let body = b"4\r\nWiki\r\n6;name=\"v\"\r\npedia \r\nE \r\nin \r\n\r\nchunks.\r\n0\r\nExpires: 0\r\nX: y\r\n\r\n";
        let whole = (b"Wikipedia in \r\n\r\nchunks.".to_vec(), Chunks::Over, body.len());
        for place in 0..=body.len() {
            assert_eq!(read(&[&body[..place], &body[place..]]), Ok(whole.clone()), "{place}");
        }
        let bytes: Vec<_> = body.chunks(1).collect();
        assert_eq!(read(&bytes), Ok(whole));
        let (_, end, taken) = read(&[b"0\r\n\r\nHTTP/1.1 200 OK"]).unwrap();
        assert_eq!((end, taken), (Chunks::Over, 5), "what follows isn't the body's");
    }

    #[test]
    fn garbage_is_told_from_a_body_that_has_not_come_yet() {
        for (body, garbage) in [
            (&b"\r\n"[..], true),
            (b"x\r\n", true),
            (b"-1\r\n", true),
            (b"4\r\nWikipedia", true),
            (b"4x\r\nWiki", true),
            (b"fffffffffffffffff\r\n", true),
            (b"4\r\nWik", false),
            (b"4\r\nWiki\r\n", false),
            (b"0\r\n", false),
            (b"0\r\nX: y\r\n", false),
            (b"fffffffffffffff\r\n", false),
        ] {
            let read = read(&[body]);
            assert_eq!(read.is_err(), garbage, "{body:?}: {read:?}");
            assert!(read.is_err() || read.unwrap().1 != Chunks::Over);
        }
    }
}
