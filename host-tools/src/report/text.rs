//! Numbers and tables as text.

use comfy_table::{Cell, CellAlignment, Color, Table, TableComponent, presets};

/// `1234567` as `1,234,567`.
pub fn grouped(n: impl TryInto<u64>) -> String {
    let digits = n.try_into().map_or_else(|_| "?".to_string(), |n| n.to_string());
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `[1, 28, 28, 1]` as `1×28×28×1`.
pub fn shape(shape: &[usize]) -> String {
    if shape.is_empty() {
        return "scalar".to_string();
    }
    shape.iter().map(ToString::to_string).collect::<Vec<_>>().join("×")
}

/// A table with a line under its header; columns whose title starts with `>` are aligned to the right.
///
/// It always carries colours: the stream that it is written to strips them where they are not wanted.
pub fn table(titles: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_style(TableComponent::HeaderLines, '─').enforce_styling();
    table.set_style(TableComponent::MiddleHeaderIntersections, '─');
    table.set_header(titles.iter().map(|title| Cell::new(title.trim_start_matches('>'))));
    for (column, title) in table.column_iter_mut().zip(titles) {
        if title.starts_with('>') {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// The lines of a table, without white space at their ends.
pub fn lines(table: &Table) -> String {
    let mut text = table.trim_fmt();
    text.push('\n');
    text
}

/// A cell that catches the eye.
pub fn marked(text: impl ToString) -> Cell {
    Cell::new(text).fg(Color::Yellow)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_groups() {
        assert_eq!([0, 999, 1000, 1_234_567].map(|n: u32| grouped(n)), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(shape(&[1, 28]), "1×28");
    }
}
