//! Levels as masks, a bit for each, and what is done with masks.
//!
//! A level is only ever compared: is there a slot, is it null, does a list begin. So a block of levels is compared once
//! with each level that matters, and all else is done with 64 of them at a time. With AVX2 eight levels are compared at
//! once; BMI2 takes the bits of some places out of a word in one instruction.

/// Compares `levels` with `least`: a bit for each, 64 a word, that is set where the level is `least` or more.
pub fn at_least(levels: &[[u32; 64]], least: u32, words: &mut [u64]) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2.
        return unsafe { x86::at_least(levels, least, words) };
    }
    compare(levels, least, words);
}

fn compare(levels: &[[u32; 64]], least: u32, words: &mut [u64]) {
    for (some, word) in levels.iter().zip(words) {
        *word = some.iter().rev().fold(0, |bits, level| bits << 1 | u64::from(*level >= least));
    }
}

/// Work on masks that is made twice: for any processor, and for one that has the instructions for it.
pub trait Words {
    /// What comes of it.
    type Out;

    /// Does it; `compact` puts the bits of its first argument that stand in places of the second one's bits together, the
    /// first lowest. To be inlined, or else the instructions are not used.
    fn each(self, compact: impl Fn(u64, u64) -> u64) -> Self::Out;
}

/// Does `work` in the fastest way.
pub fn run<W: Words>(work: W) -> W::Out {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("bmi1")
        && std::arch::is_x86_feature_detected!("bmi2")
        && std::arch::is_x86_feature_detected!("popcnt")
    {
        // SAFETY: the processor has all three.
        return unsafe { x86::run(work) };
    }
    work.each(compact)
}

fn compact(bits: u64, places: u64) -> u64 {
    let (mut out, mut at, mut left) = (0, 0, places);
    while left != 0 {
        let place = left.trailing_zeros();
        out |= (bits >> place & 1) << at;
        at += 1;
        left &= left - 1;
    }
    out
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        _mm256_castsi256_ps, _mm256_cmpgt_epi32, _mm256_loadu_si256, _mm256_movemask_ps, _mm256_set1_epi32, _pext_u64,
    };

    use super::Words;

    #[target_feature(enable = "avx2")]
    pub fn at_least(levels: &[[u32; 64]], least: u32, words: &mut [u64]) {
        // no level has more than six bits
        let below = _mm256_set1_epi32(least.cast_signed().wrapping_sub(1));
        for (some, word) in levels.iter().zip(words) {
            let mut bits = 0;
            for (eight, shift) in some.as_chunks::<8>().0.iter().zip((0..64).step_by(8)) {
                // SAFETY: the eight levels have 32 bytes.
                let eight = unsafe { _mm256_loadu_si256(eight.as_ptr().cast()) };
                let more = _mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpgt_epi32(eight, below)));
                bits |= u64::from(more.cast_unsigned()) << shift;
            }
            *word = bits;
        }
    }

    #[target_feature(enable = "bmi1,bmi2,popcnt")]
    pub fn run<W: Words>(work: W) -> W::Out {
        work.each(|bits, places| _pext_u64(bits, places))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Both(u64, u64);

    impl Words for Both {
        type Out = u64;

        fn each(self, compact: impl Fn(u64, u64) -> u64) -> u64 {
            compact(self.0, self.1)
        }
    }

    #[test]
    fn both_ways_give_the_same() {
        let mut state = 0x9E37_79B9_7F4A_7C15_u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        for _ in 0..1000 {
            let (bits, places) = (next(), next() & next());
            let mut expected = 0;
            for (at, place) in (0..64).filter(|i| places >> i & 1 == 1).enumerate() {
                expected |= (bits >> place & 1) << at;
            }
            assert_eq!(run(Both(bits, places)), expected);
            assert_eq!(compact(bits, places), expected);
        }
        let levels: Vec<[u32; 64]> = (0..16).map(|_| std::array::from_fn(|_| (next() >> 58) as u32)).collect();
        for least in 1..64 {
            let (mut fast, mut slow) = ([0; 16], [0; 16]);
            at_least(&levels, least, &mut fast);
            compare(&levels, least, &mut slow);
            assert_eq!(fast, slow);
            for (i, level) in levels.iter().flatten().enumerate() {
                assert_eq!(slow[i / 64] >> (i % 64) & 1 == 1, *level >= least);
            }
        }
    }
}
