//! The numbers that requests ask for.

use std::{ops::RangeInclusive, sync::Arc};

use fastrand::Rng;

/// The numbers that requests ask for.
#[derive(Clone, PartialEq, Debug)]
pub enum Values {
    /// All numbers of a range, equally often.
    Uniform(RangeInclusive<u64>),
    /// Few numbers of a range often, and many rarely: the k-th `k^exponent` times less often than the first.
    Zipf {
        /// The range; its smallest number is asked for most often.
        range: RangeInclusive<u64>,
        /// Above 0; about 1 resembles the requests of people.
        exponent: f64,
    },
    /// These numbers in order, over and over.
    List(Arc<[u32]>),
}

impl Values {
    /// The largest number that may be asked for.
    pub fn largest(&self) -> u64 {
        match self {
            Values::Uniform(range) | Values::Zipf { range, .. } => *range.end(),
            Values::List(list) => list.iter().copied().max().map_or(0, u64::from),
        }
    }

    /// Draws numbers; the same ones for the same seed.
    pub fn draw(&self, seed: u64) -> Draw<'_> {
        Draw { values: self, rng: Rng::with_seed(seed), next: 0 }
    }
}

/// Numbers that are drawn, without end.
#[derive(Debug)]
pub struct Draw<'a> {
    values: &'a Values,
    rng: Rng,
    /// The place in the list.
    next: usize,
}

impl Draw<'_> {
    /// The next number.
    pub fn number(&mut self) -> u64 {
        match self.values {
            Values::Uniform(range) => self.rng.u64(range.clone()),
            Values::Zipf { range, exponent } => {
                range.start() + zipf(&mut self.rng, range.end() - range.start() + 1, *exponent) - 1
            }
            Values::List(list) => {
                let number = list[self.next % list.len()];
                self.next += 1;
                u64::from(number)
            }
        }
    }
}

/// A rank from 1 to `count`, by rejection-inversion (Hörmann and Derflinger, 1996), which needs no table
/// however large the range is. The area below `x^-exponent` is inverted, and the rank is accepted if the
/// point is within its own bar.
fn zipf(rng: &mut Rng, count: u64, exponent: f64) -> u64 {
    let area = |x: f64| if exponent == 1.0 { x.ln() } else { x.powf(1.0 - exponent) / (1.0 - exponent) };
    let inverse = |area: f64| match exponent {
        1.0 => area.exp(),
        _ => (area * (1.0 - exponent)).powf(1.0 / (1.0 - exponent)),
    };
    let bar = |x: f64| x.powf(-exponent);
    // The bar of rank 1 is 1 high and lies left of 1.5.
    let (low, high) = (area(1.5) - 1.0, area(count as f64 + 0.5));
    loop {
        let point = low + rng.f64() * (high - low);
        let rank = inverse(point).round().clamp(1.0, count as f64);
        if point >= area(rank + 0.5) - bar(rank) {
            return rank as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(values: &Values, draws: usize, size: usize) -> Vec<f64> {
        let mut counts = vec![0.0; size];
        let mut draw = values.draw(7);
        for _ in 0..draws {
            counts[draw.number() as usize] += 1.0 / draws as f64;
        }
        counts
    }

    #[test]
    fn a_uniform_range_has_both_its_ends_and_all_between_them_alike() {
        let counts = counts(&Values::Uniform(2..=5), 100_000, 7);
        assert_eq!((counts[0], counts[1], counts[6]), (0.0, 0.0, 0.0));
        assert!(counts[2..=5].iter().all(|share| (share - 0.25).abs() < 0.01), "{counts:?}");
    }

    #[test]
    fn zipf_has_the_shares_of_its_definition() {
        for exponent in [0.5, 1.0, 1.5, 3.0] {
            let counts = counts(&Values::Zipf { range: 10..=29, exponent }, 400_000, 31);
            let whole: f64 = (1..=20).map(|rank| f64::from(rank).powf(-exponent)).sum();
            for rank in 1..=20_u32 {
                let (share, expected) = (counts[9 + rank as usize], f64::from(rank).powf(-exponent) / whole);
                assert!((share - expected).abs() < 0.004, "{exponent}: {rank}: {share} {expected}");
            }
        }
    }

    #[test]
    fn a_range_of_one_number_and_a_huge_one_are_drawn_too() {
        assert_eq!(Values::Zipf { range: 7..=7, exponent: 1.0 }.draw(1).number(), 7);
        let values = Values::Zipf { range: 1..=10_000_000, exponent: 1.2 };
        let mut draw = values.draw(1);
        assert!((0..10_000).all(|_| (1..=10_000_000).contains(&draw.number())));
    }

    #[test]
    fn a_list_is_asked_for_in_its_order_again_and_again() {
        let values = Values::List([3, 1, 2].into());
        let mut draw = values.draw(1);
        assert_eq!([(); 5].map(|()| draw.number()), [3, 1, 2, 3, 1]);
        assert_eq!(values.largest(), 3);
    }

    #[test]
    fn the_same_seed_draws_the_same_numbers() {
        let values = Values::Uniform(0..=1_000_000);
        let draw = |seed| {
            let mut draw = values.draw(seed);
            [(); 10].map(|()| draw.number())
        };
        assert_eq!(draw(5), draw(5));
        assert_ne!(draw(5), draw(6));
    }
}
