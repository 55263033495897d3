//! What computing n! costs, in nanoseconds, from the lengths of its products.

use std::f64::consts::{LN_10, PI};

use super::thresholds;

/// How many decimal digits n! has, from Stirling's series for ln n!, whose error is below 1 / (360 n^3). From
/// some 10^8 on, the 53 bits of a float may make it wrong by a few.
///
/// ```
/// assert_eq!(pipeline::factorial::digits(200_000), 973_351);
/// ```
pub fn digits(n: u32) -> u64 {
    if n < 2 {
        return 1;
    }
    let x = f64::from(n);
    let ln = x * x.ln() - x + (2.0 * PI * x).ln() / 2.0 + 1.0 / (12.0 * x);
    (ln / LN_10) as u64 + 1
}

/// What a result takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cost {
    /// One core's time, in nanoseconds.
    pub nanos: u64,
    /// The most memory at once, the digits included.
    pub bytes: u64,
}

/// What [`factorial_decimal`](super::factorial_decimal) takes, within a factor of two (`benches/tune` checks it).
///
/// Small ones are words multiplied one by one, which is quadratic; beyond it is a little more than linear, as the
/// transform is. The constants were fitted to times measured from n = 20 to 20,000,000.
pub fn cost(n: u32) -> Cost {
    let (x, digits) = (f64::from(n), digits(n));
    let nanos = 30
        + if n as usize <= thresholds::small() { x + 0.0024 * x * x } else { 0.457 * x.powf(1.304) } as u64;
    // The last product's two numbers in floats, eight bytes for three to five digits of the product, beside its limbs,
    // its operands', and the text.
    Cost { nanos, bytes: 10 * digits }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The clock is for `benches/tune`; instructions are the same on every machine.
    #[test]
    fn times_grow_as_instructions_do() {
        let counted: Vec<(u32, f64)> = include_str!("callgrind.txt")
            .lines()
            .filter_map(|line| line.split_once(' '))
            .map(|(n, instructions)| (n.parse().unwrap(), instructions.parse().unwrap()))
            .collect();
        assert_eq!(counted.len(), 3);
        for (a, fewer) in &counted {
            for (b, more) in &counted {
                let ratio = cost(*b).nanos as f64 / cost(*a).nanos as f64;
                let of_both = ratio / (more / fewer);
                assert!((0.5..=2.0).contains(&of_both), "{a}! and {b}!: {of_both} times what was counted");
            }
        }
    }

    #[test]
    fn bytes_are_those_of_the_digits_ten_times() {
        for n in [1, 20, 301, 10_000, 200_000] {
            assert_eq!(cost(n).bytes, 10 * digits(n), "{n}!");
        }
        assert_eq!(cost(200_000).bytes, 9_733_510);
    }

    #[test]
    fn the_cost_of_a_larger_factorial_is_not_less() {
        let costs = (0..2_000).map(|n| cost(n).nanos);
        let after = (1..2_001).map(|n| cost(n).nanos);
        let falls = costs.zip(after).position(|(before, after)| after < before * 4 / 5);
        assert_eq!(falls, None);
    }
}
