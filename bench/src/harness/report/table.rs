//! A heading, lines of text and a table, for a terminal and as Markdown.

use std::fmt::Write as _;

#[derive(Debug, Default)]
pub(super) struct Section {
    pub(super) title: String,
    pub(super) lines: Vec<String>,
    pub(super) heads: Vec<&'static str>,
    pub(super) rows: Vec<Vec<String>>,
    pub(super) notes: Vec<String>,
}

impl Section {
    /// Columns aligned: the first and what is no figure to the left.
    pub(super) fn text(&self) -> String {
        let mut text = format!("{}\n", self.title);
        self.lines.iter().for_each(|line| text.extend(["  ", line, "\n"]));
        let widths = self.widths();
        for row in self.with_heads() {
            let cells = row.iter().zip(&widths).zip(self.left());
            let cells =
                cells.map(
                    |((cell, width), left)| {
                        if left { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
                    },
                );
            let line = cells.collect::<Vec<_>>().join("  ");
            text.extend(["  ", line.trim_end(), "\n"]);
        }
        self.notes.iter().for_each(|note| text.extend(["  ", note, "\n"]));
        text
    }

    pub(super) fn markdown(&self) -> String {
        let mut text = format!("## {}\n\n", self.title);
        self.lines.iter().for_each(|line| text.extend([line, "  \n"]));
        if !self.heads.is_empty() {
            text.push('\n');
            for (index, row) in self.with_heads().into_iter().enumerate() {
                let _ = writeln!(text, "| {} |", row.join(" | "));
                if index == 0 {
                    let rules = self.left().map(|left| if left { "---|" } else { "---:|" });
                    let _ = writeln!(text, "|{}", rules.collect::<String>());
                }
            }
        }
        self.notes.iter().for_each(|note| text.extend(["\n", note, "\n"]));
        text
    }

    fn with_heads(&self) -> Vec<Vec<String>> {
        let heads = self.heads.iter().map(ToString::to_string).collect();
        std::iter::once(heads)
            .chain(self.rows.iter().cloned())
            .filter(|row| !row.is_empty())
            .collect()
    }

    fn widths(&self) -> Vec<usize> {
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).chain([self.heads[column].chars().count()]).max()
        };
        (0..self.heads.len()).map(|column| width(column).unwrap_or_default()).collect()
    }

    /// Which columns are words: the first, servers and marks.
    fn left(&self) -> impl Iterator<Item = bool> {
        self.heads
            .iter()
            .enumerate()
            .map(|(column, head)| column == 0 || *head == "server" || head.starts_with("mark"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_markdown_has_the_same_cells() {
        let section = Section {
            title: "5x1".to_owned(),
            lines: vec!["two cores".to_owned()],
            heads: vec!["server", "bets/s"],
            rows: vec![vec!["ours".to_owned(), "1".to_owned()]],
            notes: vec!["no strace".to_owned()],
        };
        let text = "5x1\n  two cores\n  server  bets/s\n  ours         1\n  no strace\n";
        assert_eq!(section.text(), text);
        let markdown =
            "## 5x1\n\ntwo cores  \n\n| server | bets/s |\n|---|---:|\n| ours | 1 |\n\nno strace\n";
        assert_eq!(section.markdown(), markdown);
    }
}
