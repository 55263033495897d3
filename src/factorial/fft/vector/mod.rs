//! A few lanes of floats: the only place that names the processor's instructions.

/// SAFETY of every use: the instructions are there, because `kernels.rs` runs this code only where they were
/// detected; loads and stores stay within the block, because the slice that gives the address is checked.
#[cfg(target_arch = "x86_64")]
macro_rules! instruction {
    ($call:expr) => {
        unsafe { $call }
    };
}

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;

#[cfg(target_arch = "x86_64")]
pub use {avx2::Avx2, avx512::Avx512};

/// Vectors of `LANES` floats. A block of eight is `8 / LANES` parts.
///
/// The implementations for AVX2 and AVX-512 are inlined into functions that enable the instructions (see
/// `kernels.rs`), and those are called only where the processor has them.
pub trait Vector: Copy {
    const LANES: usize;
    /// Whether [`mul_add`](Vector::mul_add) rounds once, at its end.
    const FUSED: bool;
    fn splat(value: f64) -> Self;
    /// The first half of the lanes of the first value, the rest of the second; with four lanes all are the
    /// `part`-th value.
    fn splat_halves(values: [f64; 2], part: usize) -> Self;
    fn load(block: &[f64; 8], part: usize) -> Self;
    fn store(self, block: &mut [f64; 8], part: usize);
    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;
    /// `self * other + addend`
    fn mul_add(self, other: Self, addend: Self) -> Self;
    /// `self * other - subtrahend`
    fn mul_sub(self, other: Self, subtrahend: Self) -> Self;
    /// `minuend - self * other`
    fn mul_from(self, other: Self, minuend: Self) -> Self;
    /// To the nearest integer. What lies in the middle may go either way.
    fn round(self) -> Self;
    /// Sixteen floats `LANES / 4` times over, in the order of memory, to quarters: row k holds the k-th four of
    /// each sixteen.
    fn quarters(rows: [Self; 4]) -> [Self; 4];
    /// Undoes [`quarters`](Vector::quarters).
    fn unquarter(rows: [Self; 4]) -> [Self; 4];
    /// Transposes each four lanes of the four rows as a square.
    fn transpose(rows: [Self; 4]) -> [Self; 4];
    /// Integers below 2^52.
    fn from_words(words: &[u64; 8], part: usize) -> Self;
    /// The sum of the bits as integers.
    fn add_bits(self, other: Self) -> Self;
    /// The bits' lower half and the upper one, as numbers.
    fn halves_of_bits(self) -> (Self, Self);
    /// The lanes moved up by one; the last one of `previous` comes first.
    fn after(self, previous: Self) -> Self;
    /// The lanes moved down by one; the first one of `next` comes last.
    fn before(self, next: Self) -> Self;
    /// a0 b0 a1 b1 …
    fn interleave2(rows: [Self; 2]) -> [Self; 2];
    /// Undoes [`interleave2`](Vector::interleave2).
    fn deinterleave2(rows: [Self; 2]) -> [Self; 2];
    /// a0 b0 c0 a1 b1 c1 …
    fn interleave3(rows: [Self; 3]) -> [Self; 3];
    /// Undoes [`interleave3`](Vector::interleave3).
    fn deinterleave3(rows: [Self; 3]) -> [Self; 3];
}

/// Four lanes without any instructions of their own: right on every processor. On aarch64 every processor has NEON, of
/// which the compiler makes use by itself, and a multiply-add that is fused.
#[derive(Clone, Copy)]
pub struct Portable([f64; 4]);

impl Portable {
    #[inline(always)]
    fn zip(self, other: Self, f: impl Fn(f64, f64) -> f64) -> Self {
        Portable(std::array::from_fn(|lane| f(self.0[lane], other.0[lane])))
    }
}

impl Vector for Portable {
    const LANES: usize = 4;
    const FUSED: bool = cfg!(target_arch = "aarch64");

    #[inline(always)]
    fn splat(value: f64) -> Self {
        Portable([value; 4])
    }

    #[inline(always)]
    fn splat_halves(values: [f64; 2], part: usize) -> Self {
        Portable([values[part]; 4])
    }

    #[inline(always)]
    fn load(block: &[f64; 8], part: usize) -> Self {
        Portable(std::array::from_fn(|lane| block[4 * part + lane]))
    }

    #[inline(always)]
    fn store(self, block: &mut [f64; 8], part: usize) {
        block[4 * part..4 * part + 4].copy_from_slice(&self.0);
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| a + b)
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self.zip(other, |a, b| a - b)
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        self.zip(other, |a, b| a * b)
    }

    #[inline(always)]
    fn mul_add(self, other: Self, addend: Self) -> Self {
        if !Self::FUSED {
            return self.mul(other).add(addend);
        }
        Portable(std::array::from_fn(|lane| self.0[lane].mul_add(other.0[lane], addend.0[lane])))
    }

    #[inline(always)]
    fn mul_sub(self, other: Self, subtrahend: Self) -> Self {
        if !Self::FUSED {
            return self.mul(other).sub(subtrahend);
        }
        Portable(std::array::from_fn(|lane| self.0[lane].mul_add(other.0[lane], -subtrahend.0[lane])))
    }

    #[inline(always)]
    fn mul_from(self, other: Self, minuend: Self) -> Self {
        if !Self::FUSED {
            return minuend.sub(self.mul(other));
        }
        Portable(std::array::from_fn(|lane| (-self.0[lane]).mul_add(other.0[lane], minuend.0[lane])))
    }

    #[inline(always)]
    fn round(self) -> Self {
        // Adding 1.5 * 2^52 leaves no room for a fraction; our values are below 2^51.
        const MAGIC: f64 = 6_755_399_441_055_744.0;
        self.add(Portable([MAGIC; 4])).sub(Portable([MAGIC; 4]))
    }

    #[inline(always)]
    fn quarters(rows: [Self; 4]) -> [Self; 4] {
        rows
    }

    #[inline(always)]
    fn unquarter(rows: [Self; 4]) -> [Self; 4] {
        rows
    }

    #[inline(always)]
    fn transpose(rows: [Self; 4]) -> [Self; 4] {
        std::array::from_fn(|row| Portable(std::array::from_fn(|lane| rows[lane].0[row])))
    }

    #[inline(always)]
    fn from_words(words: &[u64; 8], part: usize) -> Self {
        Portable(std::array::from_fn(|lane| words[4 * part + lane] as f64))
    }

    #[inline(always)]
    fn add_bits(self, other: Self) -> Self {
        self.zip(other, |a, b| f64::from_bits(a.to_bits().wrapping_add(b.to_bits())))
    }

    #[inline(always)]
    fn halves_of_bits(self) -> (Self, Self) {
        (
            Portable(self.0.map(|lane| f64::from(lane.to_bits() as u32))),
            Portable(self.0.map(|lane| f64::from((lane.to_bits() >> 32) as u32))),
        )
    }

    #[inline(always)]
    fn after(self, previous: Self) -> Self {
        Portable([previous.0[3], self.0[0], self.0[1], self.0[2]])
    }

    #[inline(always)]
    fn before(self, next: Self) -> Self {
        Portable([self.0[1], self.0[2], self.0[3], next.0[0]])
    }

    #[inline(always)]
    fn interleave2(rows: [Self; 2]) -> [Self; 2] {
        interleave(rows)
    }

    #[inline(always)]
    fn deinterleave2(rows: [Self; 2]) -> [Self; 2] {
        deinterleave(rows)
    }

    #[inline(always)]
    fn interleave3(rows: [Self; 3]) -> [Self; 3] {
        interleave(rows)
    }

    #[inline(always)]
    fn deinterleave3(rows: [Self; 3]) -> [Self; 3] {
        deinterleave(rows)
    }
}

#[inline(always)]
fn interleave<const N: usize>(rows: [Portable; N]) -> [Portable; N] {
    let at = |row: usize, lane: usize| 4 * row + lane;
    std::array::from_fn(|row| {
        Portable(std::array::from_fn(|lane| rows[at(row, lane) % N].0[at(row, lane) / N]))
    })
}

#[inline(always)]
fn deinterleave<const N: usize>(rows: [Portable; N]) -> [Portable; N] {
    let at = |row: usize, lane: usize| N * lane + row;
    std::array::from_fn(|row| {
        Portable(std::array::from_fn(|lane| rows[at(row, lane) / 4].0[at(row, lane) % 4]))
    })
}
