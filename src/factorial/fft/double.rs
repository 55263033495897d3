//! Twice a float's precision, for roots of unity whose last bit is right (T. J. Dekker, "A floating-point technique
//! for extending the available precision", 1971).

use std::ops::{Add, Mul, Neg, Sub};

/// The unevaluated sum of two floats, the second at most half a unit in the last place of the first.
#[derive(Clone, Copy, Debug)]
struct Double {
    high: f64,
    low: f64,
}

impl Double {
    const ONE: Double = Double { high: 1.0, low: 0.0 };
    /// 2 pi
    const TURN: Double = Double { high: std::f64::consts::TAU, low: 2.449_293_598_294_706_4e-16 };

    /// `a + b` without any error; `a` must not be the smaller one.
    fn sorted_sum(a: f64, b: f64) -> Self {
        let high = a + b;
        Double { high, low: b - (high - a) }
    }

    fn over(self, divisor: f64) -> Self {
        let high = self.high / divisor;
        let rest = self - product(high, divisor);
        Self::sorted_sum(high, (rest.high + rest.low) / divisor)
    }
}

/// `a * b` without any error.
fn product(a: f64, b: f64) -> Double {
    let split = |x: f64| {
        let shifted = x * 134_217_729.0; // 2^27 + 1
        let high = shifted - (shifted - x);
        (high, x - high)
    };
    let (high, (a1, a0), (b1, b0)) = (a * b, split(a), split(b));
    Double { high, low: ((a1 * b1 - high) + a1 * b0 + a0 * b1) + a0 * b0 }
}

impl Add for Double {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        let high = self.high + other.high;
        let part = high - self.high;
        let low = (self.high - (high - part)) + (other.high - part);
        Self::sorted_sum(high, low + self.low + other.low)
    }
}

impl Neg for Double {
    type Output = Self;

    fn neg(self) -> Self {
        Double { high: -self.high, low: -self.low }
    }
}

impl Sub for Double {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        self + -other
    }
}

impl Mul for Double {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        let exact = product(self.high, other.high);
        Self::sorted_sum(exact.high, exact.low + (self.high * other.low + self.low * other.high))
    }
}

/// A point of the unit circle.
#[derive(Clone, Copy, Debug)]
pub struct Root {
    re: Double,
    im: Double,
}

impl Root {
    /// e^(2 pi i part), for at most a quarter of a turn.
    pub fn of_turn(part: f64) -> Self {
        let angle = Double::TURN * Double { high: part, low: 0.0 };
        let (mut re, mut im) = (Double { high: 0.0, low: 0.0 }, Double { high: 0.0, low: 0.0 });
        let mut term = Double::ONE;
        // Taylor's series: (pi/2)^40 / 40! is below 2^-130.
        for k in 0..40_u32 {
            match k % 4 {
                0 => re = re + term,
                1 => im = im + term,
                2 => re = re - term,
                _ => im = im - term,
            }
            term = (term * angle).over(f64::from(k + 1));
        }
        Root { re, im }
    }

    /// The real and the imaginary part, each to the nearest float.
    pub fn nearest(self) -> [f64; 2] {
        [self.re.high, self.im.high]
    }
}

impl Mul for Root {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        Root { re: self.re * other.re - self.im * other.im, im: self.re * other.im + self.im * other.re }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_are_on_the_circle_to_thirty_digits() {
        for k in 0..=64 {
            let Root { re, im } = Root::of_turn(f64::from(k) / 256.0);
            let off = re * re + im * im - Double::ONE;
            assert!((off.high + off.low).abs() < 1e-30, "{k}: {off:?}");
        }
    }

    #[test]
    fn a_quarter_of_a_turn_is_i_and_an_eighth_has_two_equal_parts() {
        let i = Root::of_turn(0.25);
        assert!(i.re.high.abs() < 1e-30 && i.im.high == 1.0, "{i:?}");
        let half = Root::of_turn(0.125);
        let difference = half.re - half.im;
        assert!((difference.high + difference.low).abs() < 1e-31);
        assert_eq!(half.nearest(), [std::f64::consts::FRAC_1_SQRT_2; 2]);
    }

    #[test]
    fn the_product_of_two_roots_is_the_root_of_the_sum() {
        let (a, b) = (Root::of_turn(0.03), Root::of_turn(0.125));
        let (direct, product) = (Root::of_turn(0.155), a * b);
        assert!((direct.re - product.re).high.abs() < 1e-17 && (direct.im - product.im).high.abs() < 1e-17);
    }
}
