//! A table of text whose columns are as wide as they must be.

/// Rows of cells under a heading.
#[derive(Debug)]
pub(crate) struct Table<const N: usize> {
    rows: Vec<[String; N]>,
    right: [bool; N],
}

impl<const N: usize> Table<N> {
    /// A heading that begins with `>` puts its column to the right.
    pub(crate) fn new(headings: [&str; N]) -> Self {
        Self {
            right: headings.map(|heading| heading.starts_with('>')),
            rows: vec![headings.map(|heading| heading.trim_start_matches('>').to_owned())],
        }
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: [String; N]) {
        self.rows.push(cells);
    }

    /// The text, each line behind `indent`.
    pub(crate) fn render(&self, indent: &str) -> String {
        let width = |column: usize| self.rows.iter().map(|row| row[column].chars().count()).max();
        let widths: [usize; N] = std::array::from_fn(|column| width(column).unwrap_or(0));
        let mut text = String::new();
        for row in &self.rows {
            let mut line = String::from(indent);
            for ((cell, width), right) in row.iter().zip(widths).zip(self.right) {
                line +=
                    &if right { format!("{cell:>width$}  ") } else { format!("{cell:<width$}  ") };
            }
            text += line.trim_end();
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(["NAME", ">OPS", "WHY"]);
        table.row(["a".into(), "1000".into(), "fine".into()]);
        table.row(["longer".into(), "7".into(), String::new()]);
        assert_eq!(
            table.render("  "),
            "  NAME     OPS  WHY\n  a       1000  fine\n  longer     7\n"
        );
    }
}
