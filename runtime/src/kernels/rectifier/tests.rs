//! Every variant against the reference, bit for bit.

use std::vec;

use super::*;
use crate::fixed::MIN_MULTIPLIER;
use crate::kernels::testing::Random;
use crate::kernels::{Element, Unary};

fn case<E: Element>(seed: u64, variant: impl Fn(&PRelu<E>, Unary<'_, E>) -> Option<()>) {
    let random = &mut Random(seed);
    let period = random.range(1..20) as usize;
    let mut factor = || {
        let sign = if random.range(0..3) == 0 { -1 } else { 1 };
        (sign * random.range(i64::from(MIN_MULTIPLIER)..1 << 31) as i32, random.range(29..36) as u8)
    };
    let (mult, shift): (vec::Vec<i32>, vec::Vec<u8>) = (0..period).map(|_| factor()).unzip();
    let (above, above_shift) = factor();
    let p = PRelu {
        in_zero_point: random.zero_point::<E>(),
        above: Multiplier { mult: above, shift: above_shift },
        mult: &mult,
        shift: &shift,
        output: random.output(),
    };
    let len = period * random.range(1..9) as usize;
    let mut x = random.values::<E>(len);
    let (mut expected, mut found) = (vec![E::MIN; x.len()], vec![E::MAX; x.len()]);
    reference::prelu(&p, &x, &mut expected).unwrap();
    variant(&p, Unary::Apart(&x, &mut found)).unwrap();
    assert_eq!(expected, found, "seed {seed}: {p:?}");
    variant(&p, Unary::InPlace(&mut x)).unwrap();
    assert_eq!(expected, x, "seed {seed}, in place: {p:?}");
}

macro_rules! kernel_tests {
    ($variant:ident, $element:ident, $name:ident) => {
        #[test]
        fn $name() {
            (0..2_000).for_each(|seed| case::<$element>(seed, $variant::prelu));
        }
    };
}

kernel_tests!(portable, i8, portable_gives_the_bits_of_the_reference_in_int8);
kernel_tests!(portable, i16, portable_gives_the_bits_of_the_reference_in_int16);
