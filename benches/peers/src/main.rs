#[allow(dead_code)]
#[path = "../../../src/factorial/mod.rs"]
mod factorial;
use std::time::Instant;
fn best<T>(mut f: impl FnMut() -> T) -> f64 {
    let mut best = f64::MAX; let start = Instant::now();
    let mut k = 0;
    while k < 3 || (start.elapsed().as_secs_f64() < 0.5 && k < 10000) { let t = Instant::now(); std::hint::black_box(f()); best = best.min(t.elapsed().as_secs_f64()); k += 1; }
    best
}
fn main() {
    if let Some(n) = std::env::args().nth(1) { let n: u32 = n.parse().unwrap();
        for _ in 0..std::env::args().nth(2).map_or(1, |k| k.parse().unwrap()) { std::hint::black_box(factorial::factorial_decimal(n)); } return; }
    for n in [20u32, 100, 1000, 3000, 10_000, 40_000, 100_000, 1_000_000] {
        let g = best(|| rug::Integer::from(rug::Integer::factorial(n)).to_string());
        let o = best(|| factorial::factorial_decimal(n));
        assert!(rug::Integer::from(rug::Integer::factorial(n)).to_string() == factorial::factorial_decimal(n), "{n}");
        println!("{n} gmp {:.3} us  ours {:.3} us  ratio {:.2}", g * 1e6, o * 1e6, g / o);
    }
}
