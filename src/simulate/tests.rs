use super::{history::play, script::Script, told};

pub fn main() {
    let from: u64 = std::env::var("SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(0);
    let count: u64 = std::env::var("COUNT").ok().and_then(|s| s.parse().ok()).unwrap_or(100);
    let began = std::time::Instant::now();
    let mut steps = 0;
    let mut bad = 0;
    for seed in from..from + count {
        let script = Script::new(seed);
        let ending = play(&script, false);
        steps += ending.steps;
        if let Some(violation) = ending.violation {
            println!("seed {seed} {:?} {:?}: {violation}", script.guarantee, script.order);
            bad += 1;
        }
    }
    if count == 1 {
        let script = Script::new(from);
        println!("{:?} {:?} {:?}", script.settings, script.faults, script.workers);
        let ending = told::keeping(|| play(&script, true));
        println!("{}", ending.lines.join("\n"));
        println!("{:?}", ending.violation);
    }
    println!("{count} histories, {bad} bad, {steps} steps, {:?}", began.elapsed());
}
