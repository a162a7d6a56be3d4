//! The order in which the integers of a row meet the weights of one 32-bit word on machines that multiply pairs of
//! 16-bit lanes: an instruction takes weights k and `k + half` of the word.

/// Copies `x` to `to`, the elements of each word of weights (`32 / bits`) in the order `0, half, 1, half + 1 …`; for
/// 8 bits in the order `0, 2, 1, 3`.
#[inline(always)]
pub fn interleave(x: &[i16], per_word: usize, to: &mut [i16]) -> Option<()> {
    for (word, to) in x.chunks_exact(per_word.max(1)).zip(to.chunks_exact_mut(per_word.max(1))) {
        let (low, high) = word.split_at_checked(per_word / 2)?;
        for ((pair, &low), &high) in to.chunks_exact_mut(2).zip(low).zip(high) {
            *pair.first_chunk_mut::<2>()? = [low, high];
        }
    }
    Some(())
}
