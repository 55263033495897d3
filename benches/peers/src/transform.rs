//! This kernel's multiplication beside one by `realfft` (`rustfft` with real input), which is proved nothing of: with
//! the same groups, balanced too, and the smallest length that has no prime factor but two and three.

use std::sync::Arc;

use realfft::{ComplexToReal, RealFftPlanner, RealToComplex, num_complex::Complex};

use super::{best, factorial::multiply_limbs, time};

pub fn lines(one: &rayon::ThreadPool) {
    println!(
        "| digits of either | this kernel | `realfft` | this kernel | its transforms alone | this kernel |\n|---|---|---|---|---|---|"
    );
    for digits in [1_000, 10_000, 100_000, 1_000_000] {
        let mut random = fastrand::Rng::with_seed(digits);
        let mut number =
            || -> Vec<u64> { (0..digits / 15).map(|_| random.u64(..1_000_000_000_000_000)).collect() };
        let (a, b) = (number(), number());
        let mut other = Other::new(a.len());
        let mut expected = multiply_limbs(&a, &b);
        expected.resize(2 * a.len(), 0);
        assert!(other.multiply(&a, &b) == expected, "a product of {digits} digits");
        let ours = one.install(|| best(|| multiply_limbs(&a, &b)));
        let theirs = best(|| other.multiply(&a, &b));
        let transforms = best(|| other.transform());
        println!(
            "| {digits} | {} | {} | **{:.1} x** | {} | {:.1} x |",
            time(ours),
            time(theirs),
            theirs / ours,
            time(transforms),
            transforms / ours
        );
    }
}

/// One more than the largest limb.
const LIMB: u128 = 1_000_000_000_000_000;

/// Buffers and plans, made once.
struct Other {
    /// Digits of a group, as this kernel would choose.
    digits: usize,
    forward: Arc<dyn RealToComplex<f64>>,
    inverse: Arc<dyn ComplexToReal<f64>>,
    groups: [Vec<f64>; 2],
    values: [Vec<Complex<f64>>; 2],
    scratch: Vec<Complex<f64>>,
}

impl Other {
    fn new(limbs: usize) -> Self {
        let digits = if 15 * limbs < 190_000 { 5 } else { 4 };
        let terms = 2 * (15 * limbs).div_ceil(digits) + 2;
        let power = terms.next_power_of_two();
        let length = if power / 4 * 3 >= terms { power / 4 * 3 } else { power };
        let mut planner = RealFftPlanner::new();
        let (forward, inverse) = (planner.plan_fft_forward(length), planner.plan_fft_inverse(length));
        let scratch = vec![Complex::default(); forward.get_scratch_len().max(inverse.get_scratch_len())];
        let values = [forward.make_output_vec(), forward.make_output_vec()];
        Other { digits, forward, inverse, groups: [vec![0.0; length], vec![0.0; length]], values, scratch }
    }

    fn multiply(&mut self, a: &[u64], b: &[u64]) -> Vec<u64> {
        split(a, self.digits, &mut self.groups[0]);
        split(b, self.digits, &mut self.groups[1]);
        self.transform();
        let scale = 1.0 / self.groups[0].len() as f64;
        join(&self.groups[0], scale, self.digits, a.len() + b.len())
    }

    fn transform(&mut self) {
        let Other { forward, inverse, groups: [a, b], values: [x, y], scratch, .. } = self;
        let right = "lengths that belong together";
        forward.process_with_scratch(a, x, scratch).expect(right);
        forward.process_with_scratch(b, y, scratch).expect(right);
        x.iter_mut().zip(y).for_each(|(x, y)| *x *= *y);
        // What rounding leaves there.
        let last = x.len() - 1;
        (x[0].im, x[last].im) = (0.0, 0.0);
        inverse.process_with_scratch(x, a, scratch).expect(right);
    }
}

/// Balanced groups of digits.
fn split(limbs: &[u64], digits: usize, groups: &mut [f64]) {
    groups.fill(0.0);
    let base = 10_i64.pow(digits as u32);
    let (mut rest, mut power, mut carry) = (0_u128, 1_u128, 0);
    let mut places = groups.iter_mut();
    let mut put = |group: i64| {
        let group = group + carry;
        carry = i64::from(group > base / 2);
        if let Some(place) = places.next() {
            *place = (group - carry * base) as f64;
        }
    };
    for limb in limbs {
        (rest, power) = (rest + power * u128::from(*limb), power * LIMB);
        while power >= base as u128 {
            // It is below 10^19.
            put((rest as u64 % base as u64) as i64);
            (rest, power) = ((rest as u64 / base as u64).into(), power / base as u128);
        }
    }
    put(rest as i64);
    put(0);
}

/// Rounded terms to limbs.
fn join(terms: &[f64], scale: f64, digits: usize, limbs: usize) -> Vec<u64> {
    let base = 10_i64.pow(digits as u32);
    let (mut carry, mut rest, mut power) = (0, 0_u128, 1_u128);
    let mut joined = Vec::with_capacity(limbs);
    for term in terms {
        let sum = (term * scale).round() as i64 + carry;
        carry = sum.div_euclid(base);
        (rest, power) = (rest + power * sum.rem_euclid(base) as u128, power * base as u128);
        if power >= LIMB {
            joined.push((rest % LIMB) as u64);
            (rest, power) = (rest / LIMB, power / LIMB);
        }
    }
    joined.resize(limbs, 0);
    joined
}
