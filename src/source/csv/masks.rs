//! Text as bits: 64 bytes at a time, what separates fields, what ends records, and what is out of the ordinary.
//!
//! Where quotes stand in pairs, a byte is quoted if the number of quotes before it is odd: one carry-less multiplication
//! tells it of 64 bytes (Langdale and Lemire, "Parsing Gigabytes of JSON per Second", 2019). That holds as long as a
//! quote opens at the start of a field only and closes at its end only, which the same bits tell; what is behind the
//! first byte that breaks the rules, a [`Word::irregular`] one, is for `split` to read, a byte at a time.
//!
//! The bits come from AVX2 where the processor has it, from NEON on ARM, and from plain words elsewhere.

use std::sync::LazyLock;

use crate::format::CsvDialect;

/// The bytes that matter in a dialect.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    delimiter: u8,
    quote: Option<u8>,
    escape: Option<u8>,
}

impl Rules {
    /// Those of `dialect`.
    pub(super) fn of(dialect: &CsvDialect) -> Self {
        Self { delimiter: dialect.delimiter, quote: dialect.quote, escape: dialect.escape }
    }
}

/// What 64 bytes are, a bit for each, the first byte's lowest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Word {
    /// Delimiters and line feeds outside of quotes: the ends of fields.
    pub(super) separators: u64,
    /// Line feeds outside of quotes: the ends of records.
    pub(super) ends: u64,
    /// Quotes.
    pub(super) quotes: u64,
    /// Bytes behind a carriage return that is outside of quotes.
    pub(super) after_return: u64,
    /// Ends of records that are empty lines.
    pub(super) blank: u64,
    /// Bytes at or behind the end of a line, in quotes or not, one for each line.
    pub(super) lines: u64,
    /// Bytes with which the text stops to be regular. What is told of bytes behind the first of them is wrong.
    pub(super) irregular: u64,
}

/// What the bytes before a word say about it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Carry {
    /// All bits set: a quote is open.
    inside: u64,
    /// 1: the byte before ended a field or closed a quote, so that a quote may open.
    may_open: u64,
    /// 1: it closed a quote.
    closed: u64,
    /// 1: it is a carriage return.
    returned: u64,
    /// 1: it is one outside of quotes.
    returned_outside: u64,
    /// 1: it ended a record.
    begins: u64,
    /// 1: it is a carriage return behind the end of a record.
    begins_returned: u64,
}

impl Carry {
    /// At the start of a record.
    pub(super) const RECORD: Self =
        Self { inside: 0, may_open: 1, closed: 0, returned: 0, returned_outside: 0, begins: 1, begins_returned: 0 };
}

/// Compares bytes.
pub(super) trait Eye: Copy {
    /// The bytes of `block` that are `byte`.
    fn find(self, block: &[u8; 64], byte: u8) -> u64;

    /// For each bit, whether the number of bits set up to it, itself included, is odd.
    fn parity(self, bits: u64) -> u64;
}

/// The bits of the bytes of `text` from `at` on, at most 64, and how many bytes those are, which is not 0.
#[inline(always)]
pub(super) fn word<E: Eye>(eye: E, rules: Rules, text: &[u8], at: usize, carry: &mut Carry) -> (Word, usize) {
    let rest = &text[at..];
    if let Some(block) = rest.first_chunk::<64>() {
        (of_block(eye, rules, block, carry, 63), 64)
    } else {
        let mut block = [0; 64];
        block[..rest.len()].copy_from_slice(rest);
        let last = rest.len() - 1;
        let word = of_block(eye, rules, &block, carry, last);
        (word.up_to(last), rest.len())
    }
}

/// As [`word`], of a block whose byte `last` is the last that counts.
#[inline(always)]
fn of_block<E: Eye>(eye: E, rules: Rules, block: &[u8; 64], carry: &mut Carry, last: usize) -> Word {
    let quotes = rules.quote.map_or(0, |quote| eye.find(block, quote));
    // Most words have no quotes, and are in none or in some altogether: then little is left to be done.
    if quotes == 0 && carry.closed == 0 {
        if carry.inside == 0 {
            return told(eye, rules, block, carry, last, (0, 0));
        }
        return told(eye, rules, block, carry, last, (0, u64::MAX));
    }
    let inside = eye.parity(quotes) ^ carry.inside;
    told(eye, rules, block, carry, last, (quotes, inside))
}

/// What `quotes` and the bytes `inside` of them tell of a block.
#[inline(always)]
fn told<E: Eye>(
    eye: E,
    rules: Rules,
    block: &[u8; 64],
    carry: &mut Carry,
    last: usize,
    (quotes, inside): (u64, u64),
) -> Word {
    let feeds = eye.find(block, b'\n');
    let returns = eye.find(block, b'\r');
    let delimiters = eye.find(block, rules.delimiter);
    let escapes = rules.escape.map_or(0, |escape| eye.find(block, escape));

    let (separators, ends) = ((delimiters | feeds) & !inside, feeds & !inside);
    let (opening, closing) = (quotes & inside, quotes & !inside);
    let returns_outside = returns & !inside;
    let after_return = returns_outside << 1 | carry.returned_outside;
    let may_open = (separators | closing) << 1 | carry.may_open;
    let closed = closing << 1 | carry.closed;
    let returned = returns << 1 | carry.returned;
    let begins = ends << 1 | carry.begins;
    let begins_returned = returns & begins;
    let after_begins_returned = begins_returned << 1 | carry.begins_returned;
    let irregular =
        (opening & !may_open) | (closed & !(separators | quotes | returns_outside)) | (after_return & !feeds) | escapes;

    let bit = |bits: u64| bits >> last & 1;
    let ends_field = block[last] == rules.delimiter || block[last] == b'\n';
    *carry = Carry {
        inside: 0_u64.wrapping_sub(bit(inside)),
        may_open: (u64::from(ends_field) & !bit(inside)) | bit(closing),
        closed: bit(closing),
        returned: bit(returns),
        returned_outside: bit(returns_outside),
        begins: bit(ends),
        begins_returned: bit(begins_returned),
    };
    Word {
        separators,
        ends,
        quotes,
        after_return,
        blank: ends & (begins | after_begins_returned),
        lines: feeds | (returned & !feeds),
        irregular,
    }
}

impl Word {
    /// The same, without what is told of bytes behind `last`.
    fn up_to(self, last: usize) -> Self {
        let keep = through(last);
        Self {
            separators: self.separators & keep,
            ends: self.ends & keep,
            quotes: self.quotes & keep,
            after_return: self.after_return & keep,
            blank: self.blank & keep,
            lines: self.lines & keep,
            irregular: self.irregular & keep,
        }
    }
}

/// The bits up to `bit`, itself included.
#[inline(always)]
pub(super) fn through(bit: usize) -> u64 {
    u64::MAX >> (63 - bit)
}

/// The bits below the lowest of `bits`; all if there is none.
#[inline(always)]
pub(super) fn below(bits: u64) -> u64 {
    (bits & bits.wrapping_neg()).wrapping_sub(1)
}

/// Any machine's.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plain;

impl Eye for Plain {
    #[inline(always)]
    fn find(self, block: &[u8; 64], byte: u8) -> u64 {
        let hit = block.map(|b| u8::from(b == byte));
        let mut bits = 0;
        for (i, eight) in hit.as_chunks::<8>().0.iter().enumerate() {
            // The multiplication moves the lowest bit of byte i to bit i of the highest byte.
            bits |= (u64::from_le_bytes(*eight).wrapping_mul(0x0102_0408_1020_4080) >> 56) << (8 * i);
        }
        bits
    }

    #[inline(always)]
    fn parity(self, bits: u64) -> u64 {
        let mut bits = bits;
        for shift in [1, 2, 4, 8, 16, 32] {
            bits ^= bits << shift;
        }
        bits
    }
}

/// What a processor offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Machine {
    /// AVX2, carry-less multiplication and the instructions for bits that came with them.
    #[cfg(target_arch = "x86_64")]
    Avx2(Seen),
    /// NEON and polynomial multiplication.
    #[cfg(target_arch = "aarch64")]
    Neon(Seen),
    /// Nothing that is known here.
    Plain,
}

/// The processor was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen(());

impl Machine {
    /// This one.
    #[inline]
    pub(super) fn here() -> Self {
        static HERE: LazyLock<Machine> = LazyLock::new(Machine::asked);
        *HERE
    }

    fn asked() -> Self {
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2")
            && std::arch::is_x86_feature_detected!("pclmulqdq")
            && std::arch::is_x86_feature_detected!("bmi1")
            && std::arch::is_x86_feature_detected!("bmi2")
            && std::arch::is_x86_feature_detected!("lzcnt")
            && std::arch::is_x86_feature_detected!("popcnt")
        {
            return Machine::Avx2(Seen(()));
        }
        #[cfg(target_arch = "aarch64")]
        if std::arch::is_aarch64_feature_detected!("neon") && std::arch::is_aarch64_feature_detected!("aes") {
            return Machine::Neon(Seen(()));
        }
        Machine::Plain
    }

    /// Does `work` with the best instructions there are; it and what it calls are compiled for them where they are
    /// inlined.
    #[inline(always)]
    pub(super) fn run<W: Work>(self, work: W) -> W::Done {
        match self {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `Seen` is made in `asked` only, where the processor has all of it.
            Machine::Avx2(_) => unsafe { avx2::run(work) },
            #[cfg(target_arch = "aarch64")]
            // SAFETY: `Seen` is made in `asked` only, where the processor has all of it.
            Machine::Neon(_) => unsafe { neon::run(work) },
            Machine::Plain => work.with(Plain),
        }
    }
}

/// What can be done with any [`Eye`].
pub(super) trait Work {
    /// What it gives.
    type Done;

    /// Does it. Must be inlined.
    fn with<E: Eye>(self, eye: E) -> Self::Done;
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::{
        _mm_clmulepi64_si128, _mm_cvtsi128_si64, _mm_set_epi64x, _mm_set1_epi8, _mm256_cmpeq_epi8, _mm256_loadu_si256,
        _mm256_movemask_epi8, _mm256_set1_epi8,
    };

    use super::{Eye, Work};

    /// Where AVX2 and carry-less multiplication are.
    #[derive(Clone, Copy)]
    struct Avx2(());

    #[target_feature(enable = "avx2,pclmulqdq,bmi1,bmi2,lzcnt,popcnt")]
    pub(super) fn run<W: Work>(work: W) -> W::Done {
        work.with(Avx2(()))
    }

    impl Eye for Avx2 {
        #[inline(always)]
        fn find(self, block: &[u8; 64], byte: u8) -> u64 {
            // SAFETY: an `Avx2` is made in `run` only, which is called where the processor has it.
            unsafe { find(block, byte) }
        }

        #[inline(always)]
        fn parity(self, bits: u64) -> u64 {
            // SAFETY: as above.
            unsafe { parity(bits) }
        }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn find(block: &[u8; 64], byte: u8) -> u64 {
        let wanted = _mm256_set1_epi8(byte.cast_signed());
        let half = |at: usize| {
            // SAFETY: `at` is 0 or 32, and 32 bytes of `block` follow it.
            let bytes = unsafe { _mm256_loadu_si256(block.as_ptr().add(at).cast()) };
            u64::from(_mm256_movemask_epi8(_mm256_cmpeq_epi8(bytes, wanted)).cast_unsigned())
        };
        half(0) | half(32) << 32
    }

    #[inline]
    #[target_feature(enable = "pclmulqdq")]
    fn parity(bits: u64) -> u64 {
        let product = _mm_clmulepi64_si128::<0>(_mm_set_epi64x(0, bits.cast_signed()), _mm_set1_epi8(-1));
        _mm_cvtsi128_si64(product).cast_unsigned()
    }
}

#[cfg(target_arch = "aarch64")]
mod neon {
    use std::arch::aarch64::{
        vaddv_u8, vandq_u8, vceqq_u8, vdupq_n_u8, vget_high_u8, vget_low_u8, vld1q_u8, vmull_p64,
    };

    use super::{Eye, Work};

    /// Where NEON and polynomial multiplication are.
    #[derive(Clone, Copy)]
    struct Neon(());

    #[target_feature(enable = "neon,aes")]
    pub(super) fn run<W: Work>(work: W) -> W::Done {
        work.with(Neon(()))
    }

    impl Eye for Neon {
        #[inline(always)]
        fn find(self, block: &[u8; 64], byte: u8) -> u64 {
            // SAFETY: a `Neon` is made in `run` only, which is called where the processor has it.
            unsafe { find(block, byte) }
        }

        #[inline(always)]
        fn parity(self, bits: u64) -> u64 {
            // SAFETY: as above.
            unsafe { parity(bits) }
        }
    }

    #[inline]
    #[target_feature(enable = "neon")]
    fn find(block: &[u8; 64], byte: u8) -> u64 {
        const BITS: [u8; 16] = [1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128];
        // SAFETY: `BITS` has 16 bytes.
        let weights = unsafe { vld1q_u8(BITS.as_ptr()) };
        let wanted = vdupq_n_u8(byte);
        let mut bits = 0;
        for (i, sixteen) in block.as_chunks::<16>().0.iter().enumerate() {
            // SAFETY: `sixteen` has 16 bytes.
            let bytes = unsafe { vld1q_u8(sixteen.as_ptr()) };
            let hit = vandq_u8(vceqq_u8(bytes, wanted), weights);
            let (low, high) = (vaddv_u8(vget_low_u8(hit)), vaddv_u8(vget_high_u8(hit)));
            bits |= (u64::from(low) | u64::from(high) << 8) << (16 * i);
        }
        bits
    }

    #[inline]
    #[target_feature(enable = "neon,aes")]
    fn parity(bits: u64) -> u64 {
        #[expect(clippy::cast_possible_truncation, reason = "the low half of the product")]
        let low = vmull_p64(bits, u64::MAX) as u64;
        low
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct All<'a>(&'a [u8], Rules, usize);

    impl Work for All<'_> {
        type Done = Vec<(Word, usize)>;

        #[inline(always)]
        fn with<E: Eye>(self, eye: E) -> Self::Done {
            let (mut carry, mut at, mut words) = (Carry::RECORD, 0, Vec::new());
            while at < self.0.len() {
                // Words of any length, as an input that comes bit by bit makes them.
                let end = self.0.len().min(at + self.2);
                let (word, bytes) = word(eye, self.1, &self.0[..end], at, &mut carry);
                words.push((word, at));
                at += bytes;
            }
            words
        }
    }

    /// The same a byte at a time.
    fn slowly(text: &[u8], rules: Rules) -> (Vec<usize>, Vec<usize>, Vec<usize>, usize, Option<usize>) {
        let (mut inside, mut may_open, mut closed) = (false, true, false);
        let (mut separators, mut ends, mut blank, mut lines) = (vec![], vec![], vec![], 0);
        let mut begin = 0;
        for (i, b) in text.iter().copied().enumerate() {
            let before = i.checked_sub(1).map(|i| text[i]);
            let quote = Some(b) == rules.quote;
            if (before == Some(b'\r') && !inside && b != b'\n' && i > 0)
                || Some(b) == rules.escape
                || (closed && !quote && !matches!(b, b'\n' | b'\r') && b != rules.delimiter)
                || (quote && !inside && !may_open)
            {
                return (separators, ends, blank, lines, Some(i));
            }
            lines += usize::from(b == b'\n' || before == Some(b'\r'));
            closed = quote && inside;
            if quote {
                inside = !inside;
                may_open = closed;
                continue;
            }
            may_open = !inside && (b == b'\n' || b == rules.delimiter);
            if may_open {
                separators.push(i);
            }
            if may_open && b == b'\n' {
                ends.push(i);
                if text[begin..i].iter().all(|b| *b == b'\r') {
                    blank.push(i);
                }
                begin = i + 1;
            }
        }
        (separators, ends, blank, lines, None)
    }

    #[test]
    fn every_machine_sees_what_a_loop_over_bytes_sees() {
        let mut state = 11_u64;
        let mut random = move |n: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            usize::try_from((state >> 11) % n).expect("small")
        };
        let bit_places = |words: &[(Word, usize)], of: fn(&Word) -> u64, until: usize| -> Vec<usize> {
            let all = words.iter().flat_map(|(w, at)| {
                let bits = of(w);
                (0..64).filter(move |i| bits >> i & 1 == 1).map(move |i| at + i)
            });
            all.filter(|i| *i < until).collect()
        };
        let mut regular = 0;
        for round in 0..40_000 {
            let rules = Rules {
                delimiter: b',',
                quote: (round % 7 > 0).then_some(b'"'),
                escape: (round % 5 == 0).then_some(b'\\'),
            };
            let parts: [&[u8]; 12] = [
                b"a",
                b"bcd",
                b",",
                b"\n",
                b"\r\n",
                b"\"x\",",
                b"\"a\"\"b\"\n",
                b"\"\"",
                b"\"\n,\r",
                b"\"",
                b"\r",
                b"\\",
            ];
            let likely = if round % 3 == 0 { 12 } else { 8 };
            let mut text = Vec::new();
            for _ in 0..random(60) {
                text.extend_from_slice(parts[random(likely)]);
            }
            let (separators, ends, blank, lines, irregular) = slowly(&text, rules);
            let until = irregular.unwrap_or(text.len());
            regular += usize::from(irregular.is_none());
            for machine in [Machine::here(), Machine::Plain] {
                let words = machine.run(All(&text, rules, 1 + random(64)));
                let shown = String::from_utf8_lossy(&text);
                assert_eq!(bit_places(&words, |w| w.irregular, usize::MAX).first().copied(), irregular, "{shown:?}");
                assert_eq!(bit_places(&words, |w| w.separators, until), separators, "{shown:?}");
                assert_eq!(bit_places(&words, |w| w.ends, until), ends, "{shown:?}");
                assert_eq!(bit_places(&words, |w| w.blank, until), blank, "{shown:?}");
                assert_eq!(bit_places(&words, |w| w.lines, until).len(), lines, "{shown:?}");
            }
        }
        assert!(regular > 5_000, "{regular}");
    }

    #[test]
    fn bits_below_and_through() {
        assert_eq!((below(0), below(1), below(0b1100), below(1 << 63)), (u64::MAX, 0, 0b11, u64::MAX >> 1));
        assert_eq!((through(0), through(5), through(63)), (1, 0b11_1111, u64::MAX));
    }
}
