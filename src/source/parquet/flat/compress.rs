//! The numbers of a block whose bits are set, put together.
//!
//! With AVX2 eight at a time: a byte of the mask names the permutation that brings the wanted ones to the front. Elsewhere
//! every number is put down, and stays where the next one does not go over it.

/// How many numbers are put down beyond the last one that is wanted.
pub const SLACK: usize = 8;

/// Puts those of `values`, at most 64, whose bits are set in `wanted` to the front of `to`; how many they are. `to` has room
/// for as many as there are, and [`SLACK`].
pub fn compress(values: &[u32], wanted: u64, to: &mut [u32]) -> usize {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("popcnt") {
        // SAFETY: the processor has both.
        return unsafe { avx2::compress(values, wanted, to) };
    }
    portable(values, wanted, to)
}

fn portable(values: &[u32], mut wanted: u64, to: &mut [u32]) -> usize {
    let mut at = 0;
    for value in values {
        to[at] = *value;
        at += usize::from(wanted & 1 == 1);
        wanted >>= 1;
    }
    at
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::{
        _mm_cvtsi64_si128, _mm256_cvtepu8_epi32, _mm256_loadu_si256, _mm256_permutevar8x32_epi32, _mm256_storeu_si256,
    };

    /// For a byte of the mask: the positions of its bits, a byte each, the first lowest.
    static ORDER: [u64; 256] = order();

    const fn order() -> [u64; 256] {
        let mut order = [0; 256];
        let mut mask = 0;
        while mask < 256 {
            let (mut at, mut bit) = (0, 0_u64);
            while bit < 8 {
                if mask >> bit & 1 == 1 {
                    order[mask] |= bit << (at * 8);
                    at += 1;
                }
                bit += 1;
            }
            mask += 1;
        }
        order
    }

    #[target_feature(enable = "avx2,popcnt")]
    pub fn compress(values: &[u32], wanted: u64, to: &mut [u32]) -> usize {
        let mut at = 0;
        let (eights, rest) = values.as_chunks::<8>();
        let mut left = wanted;
        for eight in eights {
            let [mask, ..] = left.to_le_bytes();
            left = left.checked_shr(8).unwrap_or(0);
            let order = _mm256_cvtepu8_epi32(_mm_cvtsi64_si128(ORDER[usize::from(mask)].cast_signed()));
            let into = &mut to[at..at + 8];
            // SAFETY: `eight` and `into` have 32 bytes each.
            unsafe {
                let found = _mm256_loadu_si256(eight.as_ptr().cast());
                _mm256_storeu_si256(into.as_mut_ptr().cast(), _mm256_permutevar8x32_epi32(found, order));
            }
            at += mask.count_ones() as usize;
        }
        at + super::portable(rest, left, &mut to[at..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wanted_ones_come_first_either_way() {
        let values: Vec<u32> = (100..164).collect();
        let mut word = 0x9E37_79B9_7F4A_7C15_u64;
        for len in 0..=64 {
            for wanted in [0, u64::MAX, 1, 1 << 63, word, word & word.rotate_left(7), word | word.rotate_left(9)] {
                let expected: Vec<u32> = (0..len).filter(|i| wanted >> i & 1 == 1).map(|i| values[i]).collect();
                for way in [compress, portable] {
                    let mut to = [0; 64 + SLACK];
                    let n = way(&values[..len], wanted, &mut to);
                    assert_eq!(to[..n], expected, "{len} {wanted:x}");
                }
            }
            word = word.wrapping_mul(0x2545_F491_4F6C_DD1D).rotate_left(13);
        }
    }
}
