//! Tells a release build which revision it is of: `PIPELINE_REVISION`, or what git says.

use std::{env, process::Command};

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=PIPELINE_REVISION");
    // Others would be built anew after each commit.
    if env::var("PROFILE").as_deref() != Ok("release") || env::var_os("PIPELINE_REVISION").is_some() {
        return;
    }
    println!("cargo:rerun-if-changed=.git/logs/HEAD");
    let git = Command::new("git").args(["rev-parse", "--short=12", "HEAD"]).output();
    if let Some(revision) = git.ok().filter(|git| git.status.success()) {
        println!("cargo:rustc-env=PIPELINE_REVISION={}", String::from_utf8_lossy(&revision.stdout).trim());
    }
}
