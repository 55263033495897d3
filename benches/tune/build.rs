//! Makes the kernel's thresholds variables.

fn main() {
    println!("cargo::rustc-cfg=tuning");
}
