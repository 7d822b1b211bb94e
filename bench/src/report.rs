//! What was measured, as tables with ratios.

use std::collections::BTreeMap;

use comfy_table::{Table, presets};

use crate::load::Measured;
use crate::single::median;

/// Everything that was measured.
#[derive(Default)]
pub(crate) struct Report {
    loads: BTreeMap<(u32, &'static str), Vec<Measured>>,
    figures: Vec<(String, f64, &'static str, &'static str)>,
    notes: Vec<String>,
}

impl Report {
    /// One measurement under load.
    pub(crate) fn load(&mut self, name: &'static str, connections: u32, measured: Measured) {
        self.loads.entry((connections, name)).or_default().push(measured);
    }

    /// A figure of Camshaft alone.
    pub(crate) fn figure(&mut self, what: &str, value: f64, unit: &'static str, goal: &'static str) {
        self.figures.push((what.to_owned(), value, unit, goal));
    }

    /// Something to know about the run.
    pub(crate) fn note(&mut self, note: &str) {
        self.notes.push(note.to_owned());
    }

    /// Prints the whole.
    pub(crate) fn print(&self) {
        let mut table = Table::new();
        table.load_style(presets::ASCII_MARKDOWN).set_header([
            "connections",
            "server",
            "requests/s",
            "p50 ms",
            "p99 ms",
            "× axum",
            "× wasmtime serve",
        ]);
        for ((connections, name), measured) in &self.loads {
            let rate = middle(measured, |m| m.rate);
            let against = |other: &'static str| {
                self.loads
                    .get(&(*connections, other))
                    .map_or("–".to_owned(), |other| format!("{:.2}", rate / middle(other, |m| m.rate)))
            };
            table.add_row([
                connections.to_string(),
                (*name).to_owned(),
                format!("{rate:.0}"),
                format!("{:.2}", middle(measured, |m| m.p50_ms)),
                format!("{:.2}", middle(measured, |m| m.p99_ms)),
                against("axum, bare"),
                against("wasmtime serve"),
            ]);
        }
        if !self.loads.is_empty() {
            println!("{table}\n");
        }
        let mut table = Table::new();
        table.load_style(presets::ASCII_MARKDOWN).set_header(["camshaft alone", "measured", "goal"]);
        for (what, value, unit, goal) in &self.figures {
            table.add_row([what.clone(), format!("{value:.2} {unit}"), (*goal).to_owned()]);
        }
        println!("{table}");
        for note in &self.notes {
            println!("\nNote: {note}.");
        }
    }
}

fn middle(measured: &[Measured], figure: impl Fn(&Measured) -> f64) -> f64 {
    let mut values: Vec<f64> = measured.iter().map(figure).collect();
    median(&mut values)
}
