//! Decimal limbs: fifteen digits in a word.
//!
//! Fifteen digits are three groups of five and five groups of three, fit a float's 53 bits, and leave a word room
//! for carries. A number is its limbs, the least significant first, without a zero at the end; zero has none.

use super::spare::Spare;

/// How many decimal digits a limb has.
pub const DIGITS: usize = 15;

/// One more than the largest limb.
pub const BASE: u64 = 1_000_000_000_000_000;

/// Quotient and remainder by [`BASE`], of what is below 2^111.
#[inline(always)]
pub fn divide(sum: u128) -> (u64, u64) {
    // The reciprocal and the dividend are cut off, which together makes the quotient too small by one at most: the
    // dividend's loss is below 2^47 / BASE < 0.15, the reciprocal's below 2^111 / 2^111 = 1 of which at most a
    // quotient of 2^62 shows 2^-1.
    const RECIPROCAL: u64 = ((1_u128 << 111) / BASE as u128) as u64;
    let quotient = ((u128::from((sum >> 47) as u64) * u128::from(RECIPROCAL)) >> 64) as u64;
    let rest = (sum as u64).wrapping_sub(quotient.wrapping_mul(BASE));
    // Without a branch, which could not be foreseen.
    let over = u64::from(rest >= BASE);
    (quotient + over, rest - BASE * over)
}

/// What numbers leave over that are not needed any more: 16 MiB.
static SPARE: Spare<u64> = Spare::new(16 << 20);

/// A row of so many limbs of anything.
pub fn spare(length: usize) -> Vec<u64> {
    let mut row = SPARE.take(length, 0);
    row.truncate(length);
    row
}

/// Keeps a number's memory for others.
pub fn give_back(mut number: Vec<u64>) {
    if number.capacity() * size_of::<u64>() >= Spare::<u64>::LONG {
        number.resize(number.capacity(), 0);
        SPARE.give_back(number);
    }
}

/// Gives back what is kept beyond the limit.
pub fn shed() {
    SPARE.shed();
}

/// Removes zeros at the upper end.
pub fn trim(limbs: &mut Vec<u64>) {
    while limbs.last() == Some(&0) {
        limbs.pop();
    }
}

/// `number *= word`, where the word is below [`BASE`].
pub fn multiply_word(number: &mut Vec<u64>, word: u64) {
    // Each limb's product is divided before the carry comes in, so that the divisions need not wait for one another.
    let mut carry = 0;
    for limb in number.iter_mut() {
        let (quotient, rest) = divide(u128::from(*limb) * u128::from(word));
        let sum = rest + carry;
        let over = u64::from(sum >= BASE);
        *limb = sum - BASE * over;
        carry = quotient + over;
    }
    if carry > 0 {
        number.push(carry);
    }
}

/// The sum of the products of the limbs of `a` and those of `b` from the other end: below 2^11 of less than 2^100.
#[inline(always)]
fn column_sum(a: &[u64], b: &[u64]) -> u128 {
    let times = |x: u64, y: u64| u128::from(x) * u128::from(y);
    let ((a_fours, a_rest), (b_rest, b_fours)) = (a.as_chunks::<4>(), b.as_rchunks::<4>());
    // Two sums, so that additions need not wait for one another.
    let (mut even, mut odd) = (0, 0);
    for (x, y) in a_fours.iter().zip(b_fours.iter().rev()) {
        even += times(x[0], y[3]);
        odd += times(x[1], y[2]);
        even += times(x[2], y[1]);
        odd += times(x[3], y[0]);
    }
    a_rest.iter().zip(b_rest.iter().rev()).fold(even + odd, |sum, (x, y)| sum + times(*x, *y))
}

/// Adds a number that is not longer; the sum has no more limbs.
pub fn add(number: &mut [u64], other: &[u64]) {
    let (lower, upper) = number.split_at_mut(other.len());
    let mut carry = 0;
    let mut plus = |limb: &mut u64, more: u64| {
        let sum = *limb + more + carry;
        carry = u64::from(sum >= BASE);
        *limb = sum - carry * BASE;
        carry > 0
    };
    lower.iter_mut().zip(other).for_each(|(limb, more)| _ = plus(limb, *more));
    // The carry goes up as long as there is one.
    let _ = upper.iter_mut().all(|limb| plus(limb, 0));
}

/// The product, limb by limb.
pub fn multiply_school(a: &[u64], b: &[u64]) -> Vec<u64> {
    if a.is_empty() || b.is_empty() {
        return Vec::new();
    }
    let mut product = Vec::with_capacity(a.len() + b.len());
    let mut carry = 0;
    for column in 0..a.len() + b.len() - 1 {
        let (low, high) = ((column + 1).saturating_sub(b.len()), (column + 1).min(a.len()));
        let upper = &b[column + 1 - high..column + 1 - low];
        // The carry comes last: the products need not wait for it.
        let sum = column_sum(&a[low..high], upper);
        let (quotient, rest) = divide(sum + u128::from(carry));
        product.push(rest);
        carry = quotient;
    }
    if carry > 0 {
        product.push(carry);
    }
    product
}

/// The square, limb by limb: half the products.
pub fn square_school(a: &[u64]) -> Vec<u64> {
    let mut product = Vec::with_capacity(2 * a.len());
    let mut carry = 0;
    for column in 0..(2 * a.len()).saturating_sub(1) {
        let (low, middle) = ((column + 1).saturating_sub(a.len()), column.div_ceil(2));
        let upper = &a[column + 1 - middle..column + 1 - low];
        let half = column_sum(&a[low..middle], upper);
        let square = if column % 2 == 0 { u128::from(a[column / 2]) * u128::from(a[column / 2]) } else { 0 };
        let (quotient, rest) = divide(2 * half + square + u128::from(carry));
        product.push(rest);
        carry = quotient;
    }
    if carry > 0 {
        product.push(carry);
    }
    product
}
