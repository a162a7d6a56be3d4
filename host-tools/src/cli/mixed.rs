//! The table of a search for mixed precision.

use std::fmt::Write;

use comfy_table::Cell;

use crate::convert::search::{Fidelity, Measure, SearchReport};
use crate::report::text::{grouped, lines, marked, table};

/// What was measured, and the activations that were chosen or came near it.
pub(super) fn render(search: &SearchReport) -> String {
    let SearchReport { samples, max_drop, .. } = search;
    let what = match search.measure {
        Measure::Top1Disagreement => "samples whose class is not the float model's",
        Measure::CosineDistance => "cosine distance from the float model's outputs",
    };
    let mut text = format!("Mixed precision: at most {max_drop} % {what}, on {samples} samples\n\n");
    let mut rows = table(&["activations", ">drop", ">SQNR of the outputs"]);
    let chosen = search.layers.iter().filter(|layer| layer.int16).count();
    let mut row = |name: String, fidelity: Fidelity| {
        rows.add_row([name, format!("{:.2} %", fidelity.drop), decibels(fidelity.sqnr_db)]);
    };
    row("int8".to_string(), search.int8);
    row("int16".to_string(), search.int16);
    row(format!("chosen: {chosen} of {} in int16", search.layers.len()), search.chosen);
    let _ = writeln!(text, "{}", lines(&rows));

    let mut rows = table(&["activation", "operator", ">elements", ">gain in int16", "", "why"]);
    // All up to the last one chosen, and a few beyond it.
    let last = search.layers.iter().rposition(|layer| layer.int16).map_or(0, |last| last + 1);
    let shown = (last + 3).min(search.layers.len());
    for layer in search.layers.iter().take(shown) {
        let width = if layer.int16 { marked("int16") } else { Cell::new("int8") };
        let gain = layer.sqnr_db.map_or_else(|| "exact".to_string(), |_| format!("{:+.2} dB", layer.gain_db));
        let [name, op, elements] = [layer.name.clone(), layer.op.clone(), grouped(layer.elements)].map(Cell::new);
        rows.add_row([name, op, elements, Cell::new(gain), width, Cell::new(&layer.why)]);
    }
    text += &lines(&rows);
    if shown < search.layers.len() {
        let _ = writeln!(text, "… and {} less sensitive ones in int8", search.layers.len() - shown);
    }
    text
}

fn decibels(db: Option<f64>) -> String {
    db.map_or_else(|| "exact".to_string(), |db| format!("{db:.1} dB"))
}
