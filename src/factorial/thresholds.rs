//! Where one way to compute becomes faster than the other: all such numbers of the kernel.
//!
//! `cargo run --release --manifest-path benches/tune/Cargo.toml` measures what each should be, on a machine with
//! nothing else to do. There (`cfg(tuning)`) they can be changed while the program runs; else they are constants.

macro_rules! thresholds {
    ($($(#[$about:meta])* $name:ident: $value:literal;)*) => {
        $(
            $(#[$about])*
            #[cfg(not(tuning))]
            #[inline(always)]
            pub const fn $name() -> usize {
                $value
            }

            #[cfg(tuning)]
            pub fn $name() -> usize {
                $name::VALUE.load(std::sync::atomic::Ordering::Relaxed)
            }

            #[cfg(tuning)]
            mod $name {
                pub static VALUE: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new($value);
            }
        )*

        /// Each one's name and place.
        #[cfg(tuning)]
        pub static ALL: &[(&str, &std::sync::atomic::AtomicUsize)] = &[$((stringify!($name), &$name::VALUE)),*];
    };
}

thresholds! {
    /// The largest n whose words are multiplied one by one; beyond come prime powers.
    small: 1_800;
    /// Words of a leaf of the tree, multiplied one by one.
    leaf: 128;
    /// Limbs of the shorter operand, from which on the school's method is faster in vectors.
    vectors: 8;
    /// The same for a square.
    vectors_square: 16;
    /// Limbs of the shorter operand, from which on the transform is faster than the school's method.
    transform: 160;
    /// The same for a square.
    transform_square: 112;
    /// Limbs of the root, from which on a square and a product are slower than two products of half the length.
    halves: 128;
    /// Blocks of a sub-tree of the transform that is done step by step: both operands stay in the nearest cache.
    near: 128;
    /// Limbs of either part that are worth waking another thread.
    worth: 512;
    /// Blocks of a strip of the transform's passes that are worth it.
    columns: 512;
    /// Distance of checkpoints: farther apart, n! is faster from scratch.
    spacing: 64;
}
