//! Bit packing: values of `width` bits each, the lowest first, become numbers.
//!
//! With AVX2 eight values at a time: the bytes of each are shuffled into a lane of their own, shifted down by what they
//! begin with and masked. Elsewhere, and for values wider than 25 bits, which need not lie in four bytes, 32 at a time by
//! code made for the width.

/// Values that begin at a byte's border together.
pub const GROUP: usize = 8;

/// Unpacks `bytes`, which may go on, into `out`, which has whole groups; bytes that are missing count as zero.
pub fn unpack(width: u8, bytes: &[u8], out: &mut [u32]) {
    let mut done = 0;
    #[cfg(target_arch = "x86_64")]
    if (1..=avx2::WIDEST).contains(&width) && std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2.
        done = unsafe { avx2::unpack(width, bytes, out) };
    }
    if done == out.len() {
        return;
    }
    let bytes = bytes.get(done / GROUP * usize::from(width)..).unwrap_or_default();
    let (whole, rest) = out[done..].as_chunks_mut::<32>();
    portable(width, bytes, whole.as_flattened_mut());
    if !rest.is_empty() {
        let mut last = [0; 32];
        let bytes = bytes.get(whole.len() * 4 * usize::from(width)..).unwrap_or_default();
        portable(width, bytes, &mut last);
        rest.copy_from_slice(&last[..rest.len()]);
    }
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::{
        __m128i, _mm_loadu_si128, _mm256_and_si256, _mm256_loadu_si256, _mm256_set_m128i, _mm256_set1_epi32,
        _mm256_shuffle_epi8, _mm256_srlv_epi32, _mm256_storeu_si256,
    };

    use super::GROUP;

    /// The widest values that lie in four bytes wherever they begin.
    pub const WIDEST: u8 = 25;

    /// For a width: which bytes go to which lane, four values from each half, and the bit that each value begins with.
    struct Plan {
        shuffle: [u8; 32],
        shift: [u32; 8],
    }

    static PLANS: [Plan; WIDEST as usize + 1] = plans();

    #[expect(clippy::cast_possible_truncation, reason = "at most 15 and 7")]
    const fn plans() -> [Plan; WIDEST as usize + 1] {
        let mut plans = [const { Plan { shuffle: [0; 32], shift: [0; 8] } }; WIDEST as usize + 1];
        let mut width = 0;
        while width < plans.len() {
            let mut i = 0;
            while i < GROUP {
                // the upper four begin in byte `width / 2` of the group, at one of its halves
                let bit = if i < 4 { i * width } else { width % 2 * 4 + (i - 4) * width };
                let mut k = 0;
                while k < 4 {
                    plans[width].shuffle[i * 4 + k] = (bit / 8 + k) as u8;
                    k += 1;
                }
                plans[width].shift[i] = bit as u32 % 8;
                i += 1;
            }
            width += 1;
        }
        plans
    }

    /// Unpacks as many groups as there are bytes to read for, and beyond; how many values that is.
    #[target_feature(enable = "avx2")]
    pub fn unpack(width: u8, bytes: &[u8], out: &mut [u32]) -> usize {
        let plan = &PLANS[usize::from(width)];
        let width = usize::from(width);
        // SAFETY: both arrays have 32 bytes.
        let (shuffle, shift) = unsafe {
            (_mm256_loadu_si256(plan.shuffle.as_ptr().cast()), _mm256_loadu_si256(plan.shift.as_ptr().cast()))
        };
        let mask = _mm256_set1_epi32((u32::MAX >> (32 - width)).cast_signed());
        // what the last load of a group reads
        let Some(most) = bytes.len().checked_sub(width / 2 + 16) else { return 0 };
        let groups = (most / width + 1).min(out.len() / GROUP);
        for (i, out) in out.as_chunks_mut::<GROUP>().0[..groups].iter_mut().enumerate() {
            // SAFETY: `i * width` is at most `most`, so sixteen bytes are there from it on and from half a width behind
            // it; `out` has 32 bytes.
            unsafe {
                let from = bytes.as_ptr().add(i * width);
                let both = _mm256_set_m128i(load(from.add(width / 2)), load(from));
                let values = _mm256_srlv_epi32(_mm256_shuffle_epi8(both, shuffle), shift);
                _mm256_storeu_si256(out.as_mut_ptr().cast(), _mm256_and_si256(values, mask));
            }
        }
        groups * GROUP
    }

    /// # Safety
    /// Sixteen bytes can be read at `from`.
    #[target_feature(enable = "avx2")]
    unsafe fn load(from: *const u8) -> __m128i {
        // SAFETY: as the caller promises; the load has no alignment.
        unsafe { _mm_loadu_si128(from.cast()) }
    }
}

/// Unpacks `bytes` into `out`, whose length is a multiple of 32; bytes that are missing count as zero.
fn portable(width: u8, bytes: &[u8], out: &mut [u32]) {
    macro_rules! by_width {
        ($($w:literal)*) => {
            match width {
                $($w => unpack_as::<$w>(bytes, out),)*
                _ => out.fill(0),
            }
        };
    }
    by_width!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32);
}

fn unpack_as<const W: usize>(bytes: &[u8], out: &mut [u32]) {
    let mut bytes = bytes.chunks_exact(4 * W);
    let mut out = out.as_chunks_mut::<32>().0.iter_mut();
    // in this order: `zip` asks the first one first, and what it then took of it would be lost
    for (bytes, out) in bytes.by_ref().zip(out.by_ref()) {
        unpack_32::<W>(bytes, out);
    }
    if let Some(out) = out.next() {
        let mut last = [0; 128];
        last[..bytes.remainder().len()].copy_from_slice(bytes.remainder());
        unpack_32::<W>(&last[..4 * W], out);
    }
    out.for_each(|out| out.fill(0));
}

#[inline(always)]
fn unpack_32<const W: usize>(bytes: &[u8], out: &mut [u32; 32]) {
    let words = bytes.as_chunks::<4>().0;
    let words = &words[..W];
    let mask = u32::MAX >> (32 - W);
    macro_rules! value {
        ($($i:literal)*) => {
            $({
                let (word, shift) = ($i * W / 32, $i * W % 32);
                let mut value = u32::from_le_bytes(words[word]) >> shift;
                if shift + W > 32 {
                    value |= u32::from_le_bytes(words[word + 1]) << (32 - shift);
                }
                out[$i] = value & mask;
            })*
        };
    }
    value!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_width_and_length_is_the_same_either_way() {
        for width in 0..=32 {
            for missing in [0, 1, 5, 40] {
                for groups in [1, 2, 3, 4, 7, 128] {
                    let len = groups * usize::from(width);
                    let bytes: Vec<u8> = (0..len.saturating_sub(missing)).map(|i| ((i * 7919) >> 3) as u8).collect();
                    let (mut found, mut expected) = (vec![7; groups * 8], vec![9; (groups * 8).next_multiple_of(32)]);
                    unpack(width, &bytes, &mut found);
                    portable(width, &bytes, &mut expected);
                    expected.truncate(groups * 8);
                    assert_eq!(found, expected, "{width} {missing} {groups}");
                    let last = bytes.len() * 8 / usize::from(width.max(1));
                    for (i, value) in found.iter().enumerate().take(last).filter(|_| width > 0) {
                        let bit = |b: usize| u32::from(bytes[b / 8] >> (b % 8) & 1);
                        let by_bit = (0..usize::from(width)).fold(0, |v, b| v | bit(i * usize::from(width) + b) << b);
                        assert_eq!(*value, by_bit, "{width} {i}");
                    }
                }
            }
        }
    }
}
