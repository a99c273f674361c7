//! Where the bytes that matter stand: delimiters, quotes and line ends, found 64 bytes at a time.
//!
//! A block of 64 bytes becomes a word with one bit a byte; taking the lowest bit off it costs two instructions, so
//! fields of a few bytes cost little more than long ones.

/// Finds any of four bytes, in order. One of them may be named twice where fewer matter.
#[derive(Debug)]
pub(super) struct Marks<'a> {
    bytes: &'a [u8],
    wanted: [u8; 4],
    base: usize,
    bits: u64,
}

impl<'a> Marks<'a> {
    /// Looks for `wanted` in `bytes` from `from` on.
    pub(super) fn new(bytes: &'a [u8], wanted: [u8; 4], from: usize) -> Self {
        let mut marks = Self { bytes, wanted, base: 0, bits: 0 };
        marks.seek(from);
        marks
    }

    /// Goes on at `to`, ahead or back.
    pub(super) fn seek(&mut self, to: usize) {
        self.base = to & !63;
        self.load();
        self.bits &= u64::MAX << (to & 63);
    }

    /// The place of the next wanted byte.
    #[inline(always)]
    pub(super) fn next(&mut self) -> Option<usize> {
        while self.bits == 0 {
            self.base += 64;
            if self.base >= self.bytes.len() {
                return None;
            }
            self.load();
        }
        let at = self.base + self.bits.trailing_zeros() as usize;
        self.bits &= self.bits - 1;
        Some(at)
    }

    #[inline(always)]
    fn load(&mut self) {
        let rest = self.bytes.get(self.base..).unwrap_or_default();
        self.bits = if let Some(block) = rest.first_chunk::<64>() {
            bits(block, self.wanted)
        } else {
            let mut block = [0; 64];
            block[..rest.len()].copy_from_slice(rest);
            bits(&block, self.wanted) & !(u64::MAX << rest.len())
        };
    }
}

/// One bit for each byte of `block` that is wanted, the first byte's lowest. Written so that the compiler makes
/// vector code of it on any machine.
#[inline(always)]
#[expect(clippy::needless_bitwise_bool, reason = "a lazy `||` would be branches")]
fn bits(block: &[u8; 64], wanted: [u8; 4]) -> u64 {
    let [a, b, c, d] = wanted;
    let hit = block.map(|x| u8::from((x == a) | (x == b) | (x == c) | (x == d)));
    let mut out = 0;
    for (i, eight) in hit.as_chunks::<8>().0.iter().enumerate() {
        // The multiplication moves the lowest bit of byte i to bit i of the highest byte.
        out |= (u64::from_le_bytes(*eight).wrapping_mul(0x0102_0408_1020_4080) >> 56) << (8 * i);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_a_loop_finds_wherever_it_starts() {
        let mut state = 7u64;
        for len in [0, 1, 63, 64, 65, 127, 128, 200] {
            let bytes: Vec<u8> = (0..len)
                .map(|_| {
                    state ^= state << 13;
                    state ^= state >> 7;
                    state ^= state << 17;
                    b"ab,\"\n\r\x00\xff"[(state % 8) as usize]
                })
                .collect();
            for wanted in [*b",\"\n\r", [0, 0xff, b'a', b'a']] {
                for from in [0, 1, 5, 63, 64, 66, 150] {
                    let mut marks = Marks::new(&bytes, wanted, from);
                    let found: Vec<usize> = std::iter::from_fn(|| marks.next()).collect();
                    let expected: Vec<usize> = (from..len).filter(|i| wanted.contains(&bytes[*i])).collect();
                    assert_eq!(found, expected, "{len} {from}");
                }
            }
        }
    }
}
