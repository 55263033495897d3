//! Prints what is public in a crate, a line each, from the JSON that rustdoc makes of it.

use std::{env, process::ExitCode};

fn main() -> ExitCode {
    let Some(json) = env::args().nth(1) else {
        eprintln!("which JSON? rustdoc writes it to target/doc");
        return ExitCode::from(2);
    };
    let public = public_api::Builder::from_rustdoc_json(&json)
        .omit_blanket_impls(true)
        .omit_auto_trait_impls(true)
        .omit_auto_derived_impls(true)
        .build();
    match public {
        Ok(public) => {
            println!("{public}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{json}: {error}");
            ExitCode::FAILURE
        }
    }
}
