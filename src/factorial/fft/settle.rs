//! The last carries, after those that vectors can make.

use super::{super::limb::BASE, vector::Vector, words::Eight};

/// Limbs between -base and base to limbs from zero on: nothing, or minus one, comes in and goes out.
#[inline(always)]
pub fn settle<V: Vector>(words: &[Eight], limbs: &mut [[u64; 8]], mut borrow: i64) -> i64 {
    // A float of this size has the integer in its last bits.
    const SHIFT: f64 = 6_755_399_441_055_744.0;
    for (words, limbs) in words.iter().zip(limbs) {
        let mut shifted = [0.0; 8];
        for part in 0..8 / V::LANES {
            V::load(&words.0, part).add(V::splat(SHIFT)).store(&mut shifted, part);
        }
        let (mut integers, mut zeros) = ([0; 8], 0);
        for lane in 0..8 {
            integers[lane] = shifted[lane].to_bits() as i64 - SHIFT.to_bits() as i64;
            zeros |= i64::from(integers[lane] == 0);
        }
        if zeros != 0 {
            borrow = one_by_one(&integers, limbs, borrow);
            continue;
        }
        // No limb borrows because another one does.
        let mut borrows = [borrow; 8];
        for lane in 1..8 {
            borrows[lane] = integers[lane - 1] >> 63;
        }
        for lane in 0..8 {
            let own = integers[lane] >> 63;
            limbs[lane] = (integers[lane] + borrows[lane] + (BASE as i64 & own)) as u64;
        }
        borrow = integers[7] >> 63;
    }
    borrow
}

fn one_by_one(integers: &[i64; 8], limbs: &mut [u64; 8], mut borrow: i64) -> i64 {
    for (integer, limb) in integers.iter().zip(limbs) {
        let integer = integer + borrow;
        borrow = integer >> 63;
        *limb = (integer + (BASE as i64 & borrow)) as u64;
    }
    borrow
}
