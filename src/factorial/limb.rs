//! Decimal limbs: fifteen digits in a word.
//!
//! Fifteen digits are three groups of five and five groups of three, fit a float's 53 bits, and leave a word room
//! for carries. A number is its limbs, the least significant first, without a zero at the end; zero has none.

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
    if rest < BASE { (quotient, rest) } else { (quotient + 1, rest - BASE) }
}

/// Removes zeros at the upper end.
pub fn trim(limbs: &mut Vec<u64>) {
    while limbs.last() == Some(&0) {
        limbs.pop();
    }
}

/// `number *= word`, where the word is below [`BASE`].
pub fn multiply_word(number: &mut Vec<u64>, word: u64) {
    let mut carry = 0;
    for limb in number.iter_mut() {
        (carry, *limb) = divide(u128::from(*limb) * u128::from(word) + u128::from(carry));
    }
    if carry > 0 {
        number.push(carry);
    }
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
        // Below 2^10 products of less than 2^100.
        let sum = a[low..high]
            .iter()
            .zip(upper.iter().rev())
            .fold(u128::from(carry), |sum, (x, y)| sum + u128::from(*x) * u128::from(*y));
        let (quotient, rest) = divide(sum);
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
        let half = a[low..middle]
            .iter()
            .zip(upper.iter().rev())
            .fold(0, |sum, (x, y)| sum + u128::from(*x) * u128::from(*y));
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
