//! Limbs to groups of three, four or five digits.

use super::{buffer::Buffer, kernels::Kernels, words::Eight};

/// How many digits one float of the transform carries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Group {
    Three,
    Four,
    Five,
}

impl Group {
    fn digits(self) -> usize {
        match self {
            Group::Three => 3,
            Group::Four => 4,
            Group::Five => 5,
        }
    }

    pub fn base(self) -> f64 {
        10_f64.powi(self.digits() as i32)
    }

    /// How many groups that many limbs of fifteen digits make at the most.
    pub fn count(self, limbs: usize) -> usize {
        (15 * limbs).div_ceil(self.digits())
    }

    /// Limbs that are whole eights of groups, and how many.
    pub fn unit(self) -> (usize, usize) {
        match self {
            Group::Three => (8, 5),
            Group::Four => (64, 30),
            Group::Five => (8, 3),
        }
    }

    /// How many eights of groups a number of so many limbs has at the most; a carry may make one more group.
    pub fn eights(self, limbs: usize) -> usize {
        let (limbs_of_unit, eights) = self.unit();
        (limbs / limbs_of_unit + 1) * eights
    }

    /// Room for [`split`](Group::split) to make so many eights.
    pub fn scratch(self, eights: usize) -> Buffer {
        // The units at both ends may be needed in part, and a float or two are written behind them.
        Buffer::stale(eights + 2 * self.unit().1 + 1)
    }

    /// A number's groups, the least significant first: `count` eights from the `first` on. Their digits are from about
    /// -base/2 to base/2.
    pub fn split<'a>(
        self,
        kernels: &Kernels,
        number: &[u64],
        first: usize,
        count: usize,
        scratch: &'a mut [Eight],
    ) -> &'a [Eight] {
        let (limbs, eights) = self.unit();
        let (start, end) = (first / eights, (first + count).div_ceil(eights));
        let filled = end.min(number.len() / limbs + 1).saturating_sub(start);
        if filled > 0 {
            self.split_limbs(kernels, number, start * limbs, filled * limbs, Eight::flat(scratch));
        }
        scratch[filled * eights..(end - start) * eights].fill(Eight::ZERO);
        &scratch[first - start * eights..][..count]
    }

    /// The groups of `count` limbs from the `first` on; behind the number's end there are zeros.
    fn split_limbs(self, kernels: &Kernels, number: &[u64], first: usize, count: usize, groups: &mut [f64]) {
        let split = match self {
            Group::Three => kernels.split3,
            Group::Four => kernels.split4,
            Group::Five => kernels.split5,
        };
        let (whole, rest) = number[first..number.len().min(first + count)].as_chunks();
        let before = number[..first].last_chunk().unwrap_or(&[0; 8]);
        split(whole, before, groups);
        let missing = count / 8 - whole.len();
        if missing > 0 {
            let mut last = [[0; 8]; 8];
            last.as_flattened_mut()[..rest.len()].copy_from_slice(rest);
            let before = whole.last().unwrap_or(before);
            split(&last[..missing], before, &mut groups[whole.len() * 8 * 15 / self.digits()..]);
        }
    }
}
