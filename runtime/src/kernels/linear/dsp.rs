//! Matrix products by pairs of 16-bit products: see [`crate::arch::dsp`].
//!
//! Four input vectors at a time are sign-extended to 16 bits once, in the very order in which the inner loop reads
//! them, and reused over all rows of the weights, which stay int8 in the file: a row is loaded four weights a word,
//! `SXTB16` gives two lane pairs, and each meets four lane pairs of the block.

use super::FullyConnected;
use crate::arch::dsp::{GROUP_WORDS, Product, Vector, block_product, smlad, sxtb16, sxtb16_odd, vector_product, word};
use crate::arch::{self, VECTOR_BLOCKS, elements};
use crate::kernels::dot::dot1;
use crate::kernels::{PerChannel, Unary};

/// Vectors of a block.
pub const VECTORS: usize = 4;

/// Words of scratch memory of a block of vectors of so many elements.
pub fn block_len(depth: usize) -> Option<usize> {
    depth.div_ceil(4).checked_mul(GROUP_WORDS)
}

/// See [`super::reference::fully_connected`].
///
/// With scratch memory for a block works on four vectors at a time, else, and at the end, on one. Unless input and output
/// are apart, a single vector is copied to the scratch memory first.
pub fn fully_connected(
    p: &FullyConnected<i8>,
    mut operands: Unary<'_, i8>,
    w: &[i8],
    scratch: &mut [u8],
) -> Option<()> {
    let product = prepare(&p.requant, p.inputs, w)?;
    if let Unary::Apart(x, out) = operands {
        return arch::vectors(&product, x.get(..p.rows.checked_mul(p.inputs)?)?, out, elements(scratch));
    }
    let mut row = 0;
    while row < p.rows {
        let blocks: &mut [u32] = elements(scratch);
        let x = operands.x().get(row * p.inputs..)?;
        let several = VECTOR_BLOCKS && p.rows - row >= VECTORS;
        if let (true, Some(block)) = (several, blocks.get_mut(..block_len(p.inputs)?)) {
            widen(x.get(..VECTORS * p.inputs)?, p.inputs, block)?;
            let results = operands.y().get_mut(row * p.outputs..)?.get_mut(..VECTORS * p.outputs)?;
            block_results(&product, block, results)?;
            row += VECTORS;
        } else {
            let copy: &mut [i8] = elements(scratch.get_mut(..p.inputs)?);
            copy.copy_from_slice(x.get(..p.inputs)?);
            let results = operands.y().get_mut(row * p.outputs..)?.get_mut(..p.outputs)?;
            arch::vector(&product, copy, results, &mut [])?;
            row += 1;
        }
    }
    Some(())
}

/// What [`vectors`] wants to know, once for all calls.
pub fn prepare<'a>(requant: &'a PerChannel<'a, i8>, depth: usize, w: &'a [i8]) -> Option<Product<'a>> {
    Product::new(requant, depth, w)
}

/// As many vectors as `x` and `out` hold: the core of all matrix products.
#[inline(never)]
pub fn vectors(p: &Product, x: &[i8], out: &mut [i8], scratch: &mut [u32]) -> Option<()> {
    let (inputs, outputs) = (p.depth.max(1), p.requant.bias.len().max(1));
    let (mut x, mut out) = (x, out);
    if let Some(block) = scratch.get_mut(..block_len(p.depth)?) {
        while let (Some((four, rest)), true) = (x.split_at_checked(inputs * VECTORS), out.len() >= outputs * VECTORS) {
            let (results, others) = out.split_at_mut_checked(outputs * VECTORS)?;
            widen(four, p.depth, block)?;
            block_results(p, block, results)?;
            (x, out) = (rest, others);
        }
    }
    for (x, out) in x.chunks_exact(inputs).zip(out.chunks_exact_mut(outputs)) {
        vector(p, x, out, scratch)?;
    }
    Some(())
}

/// [`vectors`] of one vector.
#[inline(never)]
pub fn vector(p: &Product, x: &[i8], out: &mut [i8], scratch: &mut [u32]) -> Option<()> {
    let pairs = scratch.get_mut(..p.depth / 2).and_then(|pairs| widen_one(x, pairs));
    let vector = pairs.map_or(Vector::Bytes(x), Vector::Pairs);
    let mut row = vector_product(p, 0, vector, out);
    while row < out.len() {
        vector_slowly(p, row, x, out)?;
        row = vector_product(p, row + 1, vector, out);
    }
    Some(())
}

/// [`fully_connected`] of one vector.
pub fn vector_fully_connected(
    p: &FullyConnected<i8>,
    operands: Unary<'_, i8>,
    w: &[i8],
    scratch: &mut [u8],
) -> Option<()> {
    let product = prepare(&p.requant, p.inputs, w)?;
    match operands {
        Unary::Apart(x, out) => {
            arch::vector(&product, x.get(..p.inputs)?, out.get_mut(..p.outputs)?, elements(scratch))
        }
        mut operands => {
            let copy: &mut [i8] = elements(scratch.get_mut(..p.inputs)?);
            copy.copy_from_slice(operands.x().get(..p.inputs)?);
            arch::vector(&product, copy, operands.y().get_mut(..p.outputs)?, &mut [])
        }
    }
}

/// The results of a block: those that the fast loop leaves over one by one.
#[inline(never)]
fn block_results(p: &Product, block: &[u32], results: &mut [i8]) -> Option<()> {
    let mut row = block_product(p, 0, block, results);
    while row < p.requant.bias.len() {
        block_slowly(p, row, block, results)?;
        row = block_product(p, row + 1, block, results);
    }
    Some(())
}

/// Four vectors as lane pairs, in groups of four elements, zeros behind the last.
#[inline(never)]
fn widen(x: &[i8], depth: usize, block: &mut [u32]) -> Option<()> {
    let (x0, rest) = x.split_at_checked(depth)?;
    let (x1, rest) = rest.split_at_checked(depth)?;
    let (x2, rest) = rest.split_at_checked(depth)?;
    let x3 = rest.get(..depth)?;
    let quads = [x0, x1, x2, x3].map(|x| x.as_chunks::<4>());
    let [a, b, c, d] = quads.map(|(whole, _)| whole);
    let (groups, _) = block.as_chunks_mut::<GROUP_WORDS>();
    let whole = |x: &[i8; 4]| u32::from_le_bytes(x.map(i8::cast_unsigned));
    for ((((a, b), c), d), group) in a.iter().zip(b).zip(c).zip(d).zip(&mut *groups) {
        *group = pairs([whole(a), whole(b), whole(c), whole(d)]);
    }
    if let (true, Some(group)) = (!depth.is_multiple_of(4), groups.last_mut()) {
        *group = pairs(quads.map(|(_, rest)| word(rest)));
    }
    Some(())
}

/// One vector as lane pairs; `None` if its elements do not fill whole words.
fn widen_one<'a>(x: &[i8], pairs: &'a mut [u32]) -> Option<&'a [u32]> {
    let (words, []) = x.as_chunks::<4>() else { return None };
    for (word, [even, odd]) in words.iter().zip(pairs.as_chunks_mut::<2>().0) {
        let word = u32::from_le_bytes(word.map(i8::cast_unsigned));
        (*even, *odd) = (sxtb16(word), sxtb16_odd(word));
    }
    Some(pairs)
}

#[inline(always)]
fn pairs(words: [u32; VECTORS]) -> [u32; GROUP_WORDS] {
    let ([a, b, c, d], [e, f, g, h]) = (words.map(sxtb16), words.map(sxtb16_odd));
    [a, b, c, d, e, f, g, h]
}

/// One row of a block's product, whatever its factor and its length.
#[inline(never)]
fn block_slowly(p: &Product, row: usize, block: &[u32], out: &mut [i8]) -> Option<()> {
    let outputs = p.requant.bias.len();
    let (w, bias, m) = p.row(row)?;
    let mut sums = [bias; VECTORS];
    let (groups, _) = block.as_chunks::<GROUP_WORDS>();
    for (w, group) in w.chunks(4).map(word).zip(groups) {
        let [e0, e1, e2, e3, o0, o1, o2, o3] = *group;
        let (even, odd) = (sxtb16(w), sxtb16_odd(w));
        for (sum, (e, o)) in sums.iter_mut().zip([(e0, o0), (e1, o1), (e2, o2), (e3, o3)]) {
            *sum = smlad(odd, o, smlad(even, e, *sum));
        }
    }
    for (vector, sum) in sums.into_iter().enumerate() {
        *out.get_mut(vector * outputs + row)? = p.requant.output.rescale(sum, m);
    }
    Some(())
}

/// One row of a vector's product, whatever its factor and its length.
#[cold]
#[inline(never)]
pub fn vector_slowly(p: &Product, row: usize, x: &[i8], out: &mut [i8]) -> Option<()> {
    let (w, bias, m) = p.row(row)?;
    *out.get_mut(row)? = p.requant.output.rescale(bias.wrapping_add(dot1(x, w)), m);
    Some(())
}
