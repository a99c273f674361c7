//! Quoted text without its doubled quotes and escapes.

use crate::format::CsvDialect;

use super::masks::{Eye, Machine, Work};

/// Appends the value of a raw field to `out`. `text` begins behind the opening quote and ends in front of the closing one.
pub(super) fn unescape(dialect: &CsvDialect, text: &[u8], out: &mut Vec<u8>) {
    let quote = dialect.quote.unwrap_or(dialect.delimiter);
    match dialect.escape {
        None => Machine::here().run(Doubled { quote, text, out }),
        Some(escape) => escaped(quote, escape, text, out),
    }
}

/// Text in which quotes stand for themselves where they are doubled. A quote that is not is followed by text as it stands.
struct Doubled<'a> {
    quote: u8,
    text: &'a [u8],
    out: &'a mut Vec<u8>,
}

impl Work for Doubled<'_> {
    type Done = ();

    /// 64 bytes are copied at a time, up to the first quote in them; what was copied behind it is written over.
    #[inline(always)]
    fn with<E: Eye>(self, eye: E) {
        let Self { quote, text, out } = self;
        let first = out.len();
        out.resize(first + text.len() + 64, 0);
        let (mut from, mut to) = (0, first);
        while from < text.len() {
            let rest = &text[from..];
            let mut padded = [0; 64];
            let block = rest.first_chunk::<64>().unwrap_or_else(|| {
                padded[..rest.len()].copy_from_slice(rest);
                &padded
            });
            let count = rest.len().min(64);
            out[to..to + 64].copy_from_slice(block);
            let plain = eye.find(block, quote).trailing_zeros() as usize;
            if plain >= count {
                from += count;
                to += count;
            } else if rest.get(plain + 1) == Some(&quote) {
                from += plain + 2;
                to += plain + 1;
            } else {
                let rest = &rest[plain + 1..];
                out[to + plain..to + plain + rest.len()].copy_from_slice(rest);
                to += plain + rest.len();
                break;
            }
        }
        out.truncate(to);
    }
}

/// Text in which the byte behind an escape character stands for itself, as a doubled quote does.
fn escaped(quote: u8, escape: u8, text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(plain) = memchr::memchr2(quote, escape, rest) {
        out.extend_from_slice(&rest[..plain]);
        rest = &rest[plain..];
        match rest {
            [q, after, behind @ ..] if *q == quote && *after == quote => {
                out.push(quote);
                rest = behind;
            }
            [q, behind @ ..] if *q == quote => {
                out.extend_from_slice(behind);
                return;
            }
            [_, after, behind @ ..] => {
                out.push(*after);
                rest = behind;
            }
            _ => return,
        }
    }
    out.extend_from_slice(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_loop_over_bytes_gives() {
        let slowly = |text: &[u8]| {
            let mut out = b"before".to_vec();
            let mut bytes = text.iter().copied();
            while let Some(b) = bytes.next() {
                if b == b'"' && bytes.next() != Some(b'"') {
                    return None;
                }
                out.push(b);
            }
            Some(out)
        };
        let mut state = 5_u64;
        let mut compared = 0;
        for round in 0..20_000 {
            let mut text = Vec::new();
            for _ in 0..round % 90 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                text.extend_from_slice(
                    [b"a".as_slice(), b"bcd", b"\"\"", b"\"\"\"\"", b"xxxxxxxxxxx"][(state >> 33) as usize % 5],
                );
            }
            let Some(expected) = slowly(&text) else { continue };
            compared += 1;
            for machine in [Machine::here(), Machine::Plain] {
                let mut out = b"before".to_vec();
                machine.run(Doubled { quote: b'"', text: &text, out: &mut out });
                assert_eq!(out, expected, "{:?}", String::from_utf8_lossy(&text));
            }
        }
        assert_eq!(compared, 20_000);
    }

    #[test]
    fn a_single_quote_ends_what_is_doubled() {
        let mut out = Vec::new();
        unescape(&CsvDialect::default(), b"a\"\"b\"c\"\"d", &mut out);
        assert_eq!(out, b"a\"bc\"\"d");
    }

    #[test]
    fn escapes() {
        let dialect = CsvDialect { escape: Some(b'\\'), ..CsvDialect::default() };
        let mut out = Vec::new();
        unescape(&dialect, b"a\\\"b\"\"c\\\\d\\n\\", &mut out);
        assert_eq!(out, b"a\"b\"c\\dn");
    }
}
