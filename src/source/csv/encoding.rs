//! Text in other encodings than UTF-8, made UTF-8 on its way to the cutter.
//!
//! Everything behind this reads UTF-8: lines are the same in both, and offsets count the bytes of the UTF-8 text. What
//! is no text in the encoding becomes a byte that UTF-8 does not have, so that it is found, placed and told like any
//! other byte that is no text. Memory held: 64 KiB of either.

use std::io::{self, Read};

use encoding_rs::{Decoder, DecoderResult, UTF_8, UTF_16BE, UTF_16LE, X_USER_DEFINED};

use crate::error::{Error, Result};

/// Bytes read, and bytes of text made of them, at once.
const BUFFER: usize = 64 << 10;
/// What a reader of another encoding holds.
pub(super) const HELD: usize = 2 * BUFFER;
/// Stands for what is no text.
const NO_TEXT: u8 = 0xff;

/// How characters are written as bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    /// As everything inside is.
    Utf8,
    /// Bytes below 128 only.
    Ascii,
    /// Each byte is the character of its number. The web takes this name for windows-1252; Python does not.
    Latin1,
    /// As a byte order mark says, little-endian without one.
    Utf16,
    /// One of the encodings of the web.
    Web(&'static encoding_rs::Encoding),
}

impl Encoding {
    /// The encoding by a name that Python or the WHATWG's standard has for it.
    ///
    /// # Errors
    /// [`Error::Value`] for a name that is none.
    pub(super) fn named(name: &str) -> Result<Self> {
        let plain = name.trim().to_ascii_lowercase().replace(['_', ' '], "-");
        let label = |label: &str| encoding_rs::Encoding::for_label_no_replacement(label.as_bytes());
        match plain.as_str() {
            "utf-8" | "utf8" | "utf-8-sig" => return Ok(Encoding::Utf8),
            "ascii" | "us-ascii" => return Ok(Encoding::Ascii),
            "latin-1" | "latin1" | "iso-8859-1" | "iso8859-1" | "iso88591" | "l1" | "8859" => {
                return Ok(Encoding::Latin1);
            }
            "utf-16" | "utf16" => return Ok(Encoding::Utf16),
            _ => {}
        }
        // Python writes hyphens where the standard has none, and the other way round.
        let known = label(&plain)
            .or_else(|| label(&plain.replacen("utf16", "utf-16", 1).replace("-le", "le").replace("-be", "be")))
            .or_else(|| label(&plain.replace('-', "")))
            .or_else(|| label(&plain.replace('-', "_")));
        match known {
            Some(encoding) if encoding == UTF_8 => Ok(Encoding::Utf8),
            Some(encoding) if encoding != X_USER_DEFINED => Ok(Encoding::Web(encoding)),
            _ => Err(Error::Value(format!(
                "`encoding`: expected one like \"utf-8\", \"utf-16\", \"latin-1\", \"windows-1252\", \"shift_jis\" or \
                 \"gb18030\", found `{name}`"
            ))),
        }
    }

    /// What to call it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Encoding::Utf8 => "UTF-8",
            Encoding::Ascii => "ASCII",
            Encoding::Latin1 => "ISO-8859-1",
            Encoding::Utf16 => "UTF-16",
            Encoding::Web(encoding) => encoding.name(),
        }
    }

    /// The encoding of a text that begins with `head`: a byte order mark of UTF-16 tells it from UTF-8, and its two
    /// ways from each other.
    pub(super) fn of(self, head: &[u8]) -> Self {
        match (self, head) {
            (Encoding::Utf8 | Encoding::Utf16, [0xff, 0xfe, ..]) => Encoding::Web(UTF_16LE),
            (Encoding::Utf8 | Encoding::Utf16, [0xfe, 0xff, ..]) => Encoding::Web(UTF_16BE),
            (Encoding::Utf16, _) => Encoding::Web(UTF_16LE),
            (other, _) => other,
        }
    }

    /// The text of `feed`, as UTF-8.
    pub(super) fn reader(self, feed: Box<dyn Read + Send>) -> Box<dyn Read + Send> {
        let decoder = match self {
            Encoding::Utf8 => return feed,
            Encoding::Ascii | Encoding::Latin1 => None,
            Encoding::Utf16 => Some(UTF_16LE.new_decoder_without_bom_handling()),
            Encoding::Web(encoding) => Some(encoding.new_decoder_without_bom_handling()),
        };
        Box::new(Transcoder {
            feed,
            decoder,
            ascii: self == Encoding::Ascii,
            input: vec![0; BUFFER],
            read: 0..0,
            text: Vec::with_capacity(BUFFER),
            given: 0,
            ended: false,
        })
    }
}

/// Makes UTF-8 of another encoding.
struct Transcoder {
    feed: Box<dyn Read + Send>,
    /// `None`: of single bytes, each the character of its number.
    decoder: Option<Decoder>,
    /// Whether bytes from 128 on are no text.
    ascii: bool,
    input: Vec<u8>,
    /// What of `input` was read and not yet decoded.
    read: std::ops::Range<usize>,
    text: Vec<u8>,
    /// How much of `text` was given.
    given: usize,
    ended: bool,
}

impl Transcoder {
    /// Decodes what there is into `text`.
    fn decode(&mut self) {
        self.text.clear();
        self.text.resize(BUFFER, 0);
        self.given = 0;
        let source = &self.input[self.read.clone()];
        let (taken, made) = if let Some(decoder) = &mut self.decoder {
            // Room for what stands for bytes that are no text.
            let room = BUFFER - 1;
            let (result, taken, mut made) =
                decoder.decode_to_utf8_without_replacement(source, &mut self.text[..room], self.ended);
            if matches!(result, DecoderResult::Malformed(..)) {
                self.text[made] = NO_TEXT;
                made += 1;
            }
            if matches!(result, DecoderResult::InputEmpty) && self.ended {
                self.decoder = None;
            }
            (taken, made)
        } else if self.ascii {
            for (to, from) in self.text.iter_mut().zip(source) {
                *to = if from.is_ascii() { *from } else { NO_TEXT };
            }
            (source.len(), source.len())
        } else {
            encoding_rs::mem::convert_latin1_to_utf8_partial(source, &mut self.text)
        };
        self.read.start += taken;
        self.text.truncate(made);
    }
}

impl Read for Transcoder {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.given == self.text.len() && !into.is_empty() {
            if self.read.is_empty() && !self.ended {
                let n = self.feed.read(&mut self.input)?;
                self.read = 0..n;
                self.ended = n == 0;
            }
            if self.ended && self.read.is_empty() && self.decoder.is_none() {
                return Ok(0);
            }
            self.decode();
        }
        let n = into.len().min(self.text.len() - self.given);
        into[..n].copy_from_slice(&self.text[self.given..self.given + n]);
        self.given += n;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn decoded(name: &str, bytes: &[u8]) -> Vec<u8> {
        let encoding = Encoding::named(name).expect("known").of(bytes);
        let mut out = Vec::new();
        encoding.reader(Box::new(Cursor::new(bytes.to_vec()))).read_to_end(&mut out).expect("memory");
        out
    }

    #[test]
    fn names_of_python_and_of_the_web() {
        for name in ["utf-8", "UTF8", "utf_8", "utf-8-sig", "unicode-1-1-utf-8"] {
            assert_eq!(Encoding::named(name).expect("known"), Encoding::Utf8, "{name}");
        }
        for (name, found) in [
            ("latin_1", "ISO-8859-1"),
            ("ISO-8859-1", "ISO-8859-1"),
            ("cp1252", "windows-1252"),
            ("latin-2", "ISO-8859-2"),
            ("iso8859_15", "ISO-8859-15"),
            ("utf-16-le", "UTF-16LE"),
            ("utf_16_be", "UTF-16BE"),
            ("utf-16le", "UTF-16LE"),
            ("shift-jis", "Shift_JIS"),
            ("sjis", "Shift_JIS"),
            ("gbk", "GBK"),
            ("euc_kr", "EUC-KR"),
            ("koi8-r", "KOI8-R"),
            ("ascii", "ASCII"),
        ] {
            assert_eq!(Encoding::named(name).expect(name).name(), found, "{name}");
        }
        for name in ["utf-9", "", "cp437", "utf-32", "x-user-defined"] {
            assert!(matches!(Encoding::named(name), Err(Error::Value(_))), "{name}");
        }
    }

    #[test]
    fn what_is_no_text_becomes_a_byte_that_is_none() {
        assert_eq!(decoded("latin-1", b"a\x80\xe9"), "a\u{80}é".as_bytes());
        assert_eq!(decoded("windows-1252", b"a\x80\xe9"), "a€é".as_bytes());
        assert_eq!(decoded("ascii", b"a\xe9b"), b"a\xffb");
        assert_eq!(decoded("shift_jis", b"\x82\xa0\x82"), ["あ".as_bytes(), b"\xff"].concat());
        assert_eq!(decoded("utf-16", b"a\0\x00\xd8b\0"), b"a\xffb", "half a pair");
        assert_eq!(decoded("utf-16", b"a\0b"), b"a\xff", "half a character");
    }

    #[test]
    fn marks_tell_the_ways_of_utf_16() {
        let text = "a,é\n😀";
        for name in ["utf-8", "utf-16"] {
            let little: Vec<u8> = [0xfeff].into_iter().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
            let big: Vec<u8> = [0xfeff].into_iter().chain(text.encode_utf16()).flat_map(u16::to_be_bytes).collect();
            for bytes in [little, big] {
                assert_eq!(decoded(name, &bytes), format!("\u{feff}{text}").as_bytes());
            }
        }
    }

    #[test]
    fn long_texts_in_any_number_of_reads() {
        struct Slow(Cursor<Vec<u8>>, usize);
        impl Read for Slow {
            fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
                let most = into.len().min(self.1);
                self.0.read(&mut into[..most])
            }
        }
        let text: String = (0..60_000).map(|i| ['a', 'é', '字', '😀', '\n'][i % 5]).collect();
        let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        for most in [1, 3, 1000, usize::MAX] {
            let mut out = Vec::new();
            let feed = Box::new(Slow(Cursor::new(bytes.clone()), most));
            Encoding::Utf16.reader(feed).read_to_end(&mut out).expect("memory");
            assert!(out == text.as_bytes(), "{most}");
        }
    }
}
