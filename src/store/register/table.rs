//! Tables for eyes.

use crate::domain::one_line;

/// A longer cell of a table is cut.
const CELL_CHARS_MAX: usize = 64;

/// Columns as wide as their widest cell, two spaces between, nothing at the ends of lines; what is too
/// long for a table is cut and ends in `…`.
pub fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    table_within(CELL_CHARS_MAX, head, rows)
}

/// The same with cells of at most `cell_max` characters.
pub fn table_within(cell_max: usize, head: &[&str], rows: &[Vec<String>]) -> String {
    let head = head.iter().map(|h| (*h).to_owned()).collect();
    let rows = rows.iter().map(|row| row.iter().map(|text| cell(text, cell_max)).collect());
    let all: Vec<Vec<String>> = std::iter::once(head).chain(rows).collect();
    let width = |i: usize| all.iter().filter_map(|row| row.get(i)).map(|c| c.chars().count()).max();
    let widths: Vec<usize> = (0..).map_while(width).collect();
    let mut out = String::new();
    for row in &all {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        out.push_str(cells.join("  ").trim_end());
        out.push('\n');
    }
    out
}

fn cell(text: &str, max: usize) -> String {
    let text = one_line(text);
    if text.chars().count() <= max {
        return text.into_owned();
    }
    text.chars().take(max - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_aligned_and_ends_clean() {
        let rows = [vec!["1".into(), "münchen".into(), String::new()]];
        assert_eq!(table(&["A", "B", "C"], &rows), "A  B        C\n1  münchen\n");
        assert_eq!(table(&["A"], &[]), "A\n");
    }

    #[test]
    fn a_cell_is_one_line_and_not_too_long() {
        let rows =
            [vec!["a\nforged row".into(), "x".repeat(500)], vec!["b".into(), "é".repeat(64)]];
        let shown = table(&["one", "two"], &rows);
        assert_eq!(shown.lines().count(), 3, "{shown}");
        let lines: Vec<&str> = shown.lines().collect();
        assert!(lines[1].ends_with("x…") && lines[2].ends_with('é'), "{shown}");
        assert!(lines.iter().all(|line| line.chars().count() <= 12 + 2 + 64), "{shown}");
    }
}
