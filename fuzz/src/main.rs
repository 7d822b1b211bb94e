//! The program that feeds a target. Built by `cargo xtask fuzz`, with libFuzzer, it makes up inputs for the target that
//! `CAMSHAFT_FUZZ` names, led by which code they reach. Built by anybody else it runs the files that it is given:
//! `cargo run -p camshaft-fuzz -- TARGET FILE…`.
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
