//! What a person sees while long work goes on: on a terminal a spinner with the time and the last line, elsewhere plain
//! lines with durations. A step that fails shows all that it said, and the command that runs it alone.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use indicatif::{ProgressBar, ProgressStyle};

use crate::process::{Ended, Process};

/// How long a step may be quiet before a plain log says that it still runs.
const QUIET: Duration = Duration::from_secs(30);

/// Runs one step: a title for people, and the command that is the step. What the command said is the answer.
pub fn step(title: &str, process: &Process) -> Result<String> {
    let shown = Step::start(title);
    let mut said = String::new();
    let mut told = Instant::now();
    let ended = process.listen(QUIET, |line| {
        if let Some(line) = line.filter(|line| !line.trim().is_empty()) {
            line.trim().clone_into(&mut said);
            shown.say(&said);
        }
        if shown.plain() && told.elapsed() >= QUIET {
            println!("    … {}: {said}", duration(shown.start.elapsed()));
            told = Instant::now();
        }
    });
    let failed = match ended {
        Ok(Ended { status, output }) if status.success() => {
            shown.done();
            return Ok(output);
        }
        Ok(Ended { status, output }) => {
            shown.failed();
            eprintln!("{}", output.trim_end());
            status.to_string()
        }
        Err(error) => {
            shown.failed();
            format!("{error:#}")
        }
    };
    bail!("{title} failed: {failed}\nto run it alone: {process}")
}

/// Runs one step that is no other program.
pub fn doing<T>(title: &str, work: impl FnOnce(&Step) -> Result<T>) -> Result<T> {
    let shown = Step::start(title);
    let done = work(&shown);
    if done.is_ok() {
        shown.done()
    } else {
        shown.failed()
    }
    done
}

/// A step that runs now.
pub struct Step {
    title: String,
    start: Instant,
    spinner: Option<ProgressBar>,
}

impl Step {
    fn start(title: &str) -> Self {
        let spinner = io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{spinner:.cyan} {prefix} {elapsed:.dim}  {wide_msg:.dim}");
            let spinner = ProgressBar::new_spinner()
                .with_style(style.expect("the template is one of indicatif's"))
                .with_prefix(title.to_owned());
            spinner.enable_steady_tick(Duration::from_millis(100));
            spinner
        });
        if spinner.is_none() {
            println!("==> {title}");
        }
        Self { title: title.to_owned(), start: Instant::now(), spinner }
    }

    /// Shows what it is at.
    pub fn say(&self, line: &str) {
        if let Some(spinner) = &self.spinner {
            spinner.set_message(line.to_owned());
        }
    }

    fn plain(&self) -> bool {
        self.spinner.is_none()
    }

    fn done(&self) {
        self.end("✓", "done");
    }

    fn failed(&self) {
        self.end("✗", "failed");
    }

    fn end(&self, mark: &str, word: &str) {
        let took = duration(self.start.elapsed());
        match &self.spinner {
            Some(spinner) => {
                spinner.finish_and_clear();
                eprintln!("{mark} {} ({took})", self.title);
            }
            None => println!("    {word} in {took}"),
        }
    }
}

fn duration(time: Duration) -> String {
    match time.as_secs() {
        0..10 => format!("{:.1} s", time.as_secs_f64()),
        seconds @ 10..60 => format!("{seconds} s"),
        seconds => format!("{} min {:02} s", seconds / 60, seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn durations_read_as_people_say_them() {
        assert_eq!(duration(Duration::from_millis(240)), "0.2 s");
        assert_eq!(duration(Duration::from_secs(59)), "59 s");
        assert_eq!(duration(Duration::from_secs(61)), "1 min 01 s");
    }

    #[test]
    fn a_step_that_fails_tells_how_to_run_it_alone() {
        let error = step("a bad thing", &Process::new("false", Path::new("/"))).unwrap_err().to_string();
        assert!(error.starts_with("a bad thing failed"), "{error}");
        assert!(error.ends_with("to run it alone: cd / && false"), "{error}");
    }
}
