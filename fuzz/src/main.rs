//! The program that feeds a target. Built by `cargo xtask fuzz`, with libFuzzer, it makes up inputs for the target that
//! `CAMSHAFT_FUZZ` names, led by which code they reach. Built by anybody else it runs the files that it is given, or inputs that are
//! drawn from a seed: `cargo run -p camshaft-fuzz -- TARGET FILE…`, or `… -- TARGET --draw SECONDS SEED FILE`, where the file is what
//! an input is written to that breaks the target.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
mod guided {
    use std::sync::LazyLock;

    use camshaft_fuzz::Target;
    use libfuzzer_sys::fuzz_target;

    static TARGET: LazyLock<&'static Target> = LazyLock::new(|| {
        let name = std::env::var("CAMSHAFT_FUZZ").expect("CAMSHAFT_FUZZ names a target");
        camshaft_fuzz::target(&name).unwrap_or_else(|| panic!("there is no target `{name}`"))
    });

    fuzz_target!(|input: &[u8]| (TARGET.run)(input));
}

#[cfg(not(fuzzing))]
fn main() -> std::process::ExitCode {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().unwrap_or_default();
    let Some(target) = camshaft_fuzz::target(&name) else {
        let names: Vec<_> = camshaft_fuzz::TARGETS.iter().map(|target| target.name).collect();
        eprintln!("there is no target `{name}`, only {}", names.join(", "));
        return std::process::ExitCode::FAILURE;
    };
    let arguments: Vec<_> = arguments.collect();
    if let [draw, seconds, seed, file] = &arguments[..]
        && draw == "--draw"
        && let (Ok(seconds), Ok(seed)) = (seconds.parse(), seed.parse())
    {
        return draws(target, std::time::Duration::from_secs(seconds), seed, file);
    }
    for file in arguments {
        match std::fs::read(&file) {
            Ok(input) => (target.run)(&input),
            Err(error) => {
                eprintln!("cannot read {file}: {error}");
                return std::process::ExitCode::FAILURE;
            }
        }
        println!("{file}: nothing is wrong");
    }
    std::process::ExitCode::SUCCESS
}

/// Feeds the target with what is drawn, for so long.
#[cfg(not(fuzzing))]
fn draws(target: &camshaft_fuzz::Target, time: std::time::Duration, seed: u64, file: &str) -> std::process::ExitCode {
    let began = std::time::Instant::now();
    let mut count = 0;
    for input in camshaft_fuzz::drawn(seed).take_while(|_| began.elapsed() < time) {
        if std::panic::catch_unwind(|| (target.run)(&input)).is_err() {
            match std::fs::write(file, &input) {
                Ok(()) => eprintln!("the input: {file}"),
                Err(error) => eprintln!("cannot write {file}: {error}; the input: {input:?}"),
            }
            return std::process::ExitCode::FAILURE;
        }
        count += 1;
    }
    println!("{count}");
    std::process::ExitCode::SUCCESS
}
