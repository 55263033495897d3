//! The steps compiled for each instruction set, and which of them this processor has.

use super::{
    super::limb::DIGITS,
    digits,
    passes::{self, Block, LeafFactors, Rows},
    school, settle, steps,
    twiddle::{Nodes, Twiddle},
    vector::{self, Portable},
    words::{self, Eight},
};

/// An instruction set that the transform is compiled for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Isa {
    /// What every processor of this architecture has.
    Portable,
    /// AVX2 and FMA.
    Avx2,
    /// AVX-512F.
    Avx512,
}

impl Isa {
    /// What this processor has, the best one last.
    #[cfg(any(test, fuzzing))]
    pub fn available() -> Vec<Isa> {
        [Isa::Portable, Isa::Avx2, Isa::Avx512].into_iter().filter(|isa| isa.is_available()).collect()
    }

    /// The fastest one of this processor.
    pub fn best() -> Isa {
        [Isa::Avx512, Isa::Avx2].into_iter().find(|isa| isa.is_available()).unwrap_or(Isa::Portable)
    }

    pub fn name(self) -> &'static str {
        match self {
            Isa::Portable => "portable",
            Isa::Avx2 => "AVX2",
            Isa::Avx512 => "AVX-512",
        }
    }

    #[cfg(all(target_arch = "x86_64", not(miri)))]
    fn is_available(self) -> bool {
        match self {
            Isa::Portable => true,
            Isa::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            Isa::Avx512 => is_x86_feature_detected!("avx512f"),
        }
    }

    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    fn is_available(self) -> bool {
        self == Isa::Portable
    }

    /// The steps for it; the portable ones where it is not available.
    pub fn kernels(self) -> &'static Kernels {
        #[cfg(target_arch = "x86_64")]
        if self.is_available() {
            match self {
                Isa::Portable => {}
                Isa::Avx2 => return &avx2::KERNELS,
                Isa::Avx512 => return &avx512::KERNELS,
            }
        }
        &portable::KERNELS
    }
}

/// [`school::school`] for one of them.
pub type School = fn(&[f64], &[f64], &mut [Eight]);

/// The steps for one instruction set.
pub struct Kernels {
    pub forward4: fn(&mut [Block], usize, Nodes<'_>),
    pub inverse4: fn(&mut [Block], usize, Nodes<'_>),
    pub split: fn(Rows<'_>, Twiddle),
    pub join: fn(Rows<'_>, Twiddle),
    pub forward2: fn(&mut [Block], &mut [Block], [f64; 2]),
    pub inverse2: fn(&mut [Block], &mut [Block], [f64; 2]),
    pub leaves: fn(&mut [Block], Option<&[Block]>, LeafFactors<'_>),
    pub put: fn(&mut [Block], usize, &[Eight]),
    pub put_more: fn(&mut [Block], usize, &[Eight], f64),
    pub square_norm: fn(&[Block]) -> f64,
    pub halve: fn(&mut [Block]),
    pub add: fn(&mut [Block], usize, &[Block], usize, f64),
    pub gather: fn(&mut [Eight], &[Block], usize),
    pub split3: fn(&[[u64; 8]], &[u64; 8], &mut [f64]),
    pub split4: fn(&[[u64; 8]], &[u64; 8], &mut [f64]),
    pub split5: fn(&[[u64; 8]], &[u64; 8], &mut [f64]),
    pub join3: fn(&mut [Eight], &mut [Eight]),
    pub join4: fn(&mut [Eight], &mut [Eight]),
    pub join5: fn(&mut [Eight], &mut [Eight]),
    pub settle: fn(&[Eight], &mut [[u64; 8]], i64) -> i64,
    pub digits: fn(&[[u64; 8]], &mut [[u8; DIGITS]]),
    pub to_floats: fn(&[[u64; 8]], &mut [Eight]),
    /// These where multiply-add is fused.
    pub school: Option<School>,
    pub scale: Option<fn(&mut [Eight], f64)>,
}

/// Compiles the steps for a vector, with instructions enabled, as functions that are safe to call only where the
/// processor has them: the constant must not be reachable but through `Isa::kernels`.
macro_rules! kernels {
    ($isa:ident, $vector:ty $(, $features:literal)?) => {
        mod $isa {
            use super::*;

            kernels!(@steps $vector $(, $features)?;
                passes::forward4(data: &mut [Block], size: usize, nodes: Nodes<'_>) -> ();
                passes::inverse4(data: &mut [Block], size: usize, nodes: Nodes<'_>) -> ();
                passes::split(rows: Rows<'_>, w: Twiddle) -> ();
                passes::join(rows: Rows<'_>, w: Twiddle) -> ();
                passes::forward2(lower: &mut [Block], upper: &mut [Block], w: [f64; 2]) -> ();
                passes::inverse2(lower: &mut [Block], upper: &mut [Block], w: [f64; 2]) -> ();
                passes::leaves(a: &mut [Block], b: Option<&[Block]>, factors: LeafFactors<'_>) -> ();
                steps::put(blocks: &mut [Block], component: usize, groups: &[Eight]) -> ();
                steps::put_more(blocks: &mut [Block], component: usize, groups: &[Eight], factor: f64) -> ();
                steps::square_norm(blocks: &[Block]) -> f64;
                steps::halve(blocks: &mut [Block]) -> ();
                steps::add(to: &mut [Block], component: usize, from: &[Block], place: usize, factor: f64) -> ();
                steps::gather(sums: &mut [Eight], blocks: &[Block], component: usize) -> ();
                words::split3(limbs: &[[u64; 8]], before: &[u64; 8], groups: &mut [f64]) -> ();
                words::split4(limbs: &[[u64; 8]], before: &[u64; 8], groups: &mut [f64]) -> ();
                words::split5(limbs: &[[u64; 8]], before: &[u64; 8], groups: &mut [f64]) -> ();
                words::join3(groups: &mut [Eight], limbs: &mut [Eight]) -> ();
                words::join4(groups: &mut [Eight], limbs: &mut [Eight]) -> ();
                words::join5(groups: &mut [Eight], limbs: &mut [Eight]) -> ();
                settle::settle(words: &[Eight], limbs: &mut [[u64; 8]], borrow: i64) -> i64;
                digits::digits(limbs: &[[u64; 8]], places: &mut [[u8; DIGITS]]) -> ();
                words::to_floats(limbs: &[[u64; 8]], floats: &mut [Eight]) -> ();
                school::school(a: &[f64], b: &[f64], product: &mut [Eight]) -> ();
                words::scale(limbs: &mut [Eight], word: f64) -> ();
            );

            pub const KERNELS: Kernels = Kernels {
                forward4,
                inverse4,
                split,
                join,
                forward2,
                inverse2,
                leaves,
                put,
                put_more,
                square_norm,
                halve,
                add,
                gather,
                split3,
                split4,
                split5,
                join3,
                join4,
                join5,
                settle,
                digits,
                to_floats,
                school: if <$vector as vector::Vector>::FUSED { Some(school) } else { None },
                scale: if <$vector as vector::Vector>::FUSED { Some(scale) } else { None },
            };
        }
    };
    (@steps $vector:ty, $features:literal; $($file:ident::$name:ident($($arg:ident: $type:ty),*) -> $result:ty;)*) => {
        $(fn $name($($arg: $type),*) -> $result {
            #[target_feature(enable = $features)]
            fn enabled($($arg: $type),*) -> $result {
                $file::$name::<$vector>($($arg),*)
            }
            // SAFETY: `Isa::kernels` hands this function out only where the processor has the instructions.
            unsafe { enabled($($arg),*) }
        })*
    };
    (@steps $vector:ty; $($file:ident::$name:ident($($arg:ident: $type:ty),*) -> $result:ty;)*) => {
        $(fn $name($($arg: $type),*) -> $result {
            $file::$name::<$vector>($($arg),*)
        })*
    };
}

kernels!(portable, Portable);
#[cfg(target_arch = "x86_64")]
kernels!(avx2, vector::Avx2, "avx2,fma");
#[cfg(target_arch = "x86_64")]
kernels!(avx512, vector::Avx512, "avx512f");
