//! The others, each as its users would write it: its own factorial where it has one.

pub fn gmp(n: u32) -> String {
    rug::Integer::from(rug::Integer::factorial(n)).to_string()
}

pub fn num_bigint(n: u32) -> String {
    tree(1, n, &|k| num_bigint::BigUint::from(k), &|a, b| a * b).to_string()
}

pub fn malachite(n: u32) -> String {
    use malachite_base::num::arithmetic::traits::Factorial;
    malachite_nz::natural::Natural::factorial(n.into()).to_string()
}

pub fn dashu(n: u32) -> String {
    tree(1, n, &|k| dashu_int::UBig::from(k), &|a, b| a * b).to_string()
}

/// The product of `low ..= high`, halves at a time.
fn tree<T>(low: u32, high: u32, one: &impl Fn(u32) -> T, times: &impl Fn(T, T) -> T) -> T {
    match high.saturating_sub(low) {
        0 => one(low.min(high.max(1))),
        distance => {
            let middle = low + distance / 2;
            times(tree(low, middle, one, times), tree(middle + 1, high, one, times))
        }
    }
}
