//! Columns of text that line up, whatever script a name is written in.

use console::{Alignment, measure_text_width, pad_str};
use protocol::media::FrameRate;

/// Widest column in terminal cells; longer cells are cut, their end kept.
const COLUMN_MAX: usize = 48;

/// Prints `rows` under `head`.
#[expect(clippy::print_stdout, reason = "this is the command line")]
pub(crate) fn print<const N: usize>(head: [&str; N], rows: &[[String; N]]) {
    for line in lines(head, rows) {
        println!("{line}");
    }
}

fn lines<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> Vec<String> {
    let mut widths = head.map(measure_text_width);
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(measure_text_width(cell)).min(COLUMN_MAX);
        }
    }
    let line = |cells: [&str; N]| {
        let cells: Vec<_> = cells
            .iter()
            .zip(widths)
            .map(|(cell, width)| pad_str(cell, width, Alignment::Left, Some("…")))
            .collect();
        cells.join("  ").trim_end().to_owned()
    };
    std::iter::once(line(head))
        .chain(
            rows.iter()
                .map(|row| line(row.each_ref().map(String::as_str))),
        )
        .collect()
}

/// Bytes as people read them: three digits and a unit.
pub(crate) fn bytes(bytes: u64) -> String {
    indicatif::BinaryBytes(bytes).to_string()
}

/// The length of `frames` frames as `H:MM:SS`, rounded down; whole numbers only.
pub(crate) fn length(frames: u64, rate: FrameRate) -> String {
    let seconds = rate.frame_to_ns(frames) / 1_000_000_000;
    format!(
        "{}:{:02}:{:02}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    )
}

/// Thousandths as a percentage.
pub(crate) fn percent(permille: u16) -> String {
    format!("{} %", permille / 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_with_wide_characters() {
        let rows = [
            ["影片.mp4".to_owned(), "ready".to_owned()],
            ["reel.mov".to_owned(), "failed".to_owned()],
        ];
        let lines = lines(["NAME", "STATUS"], &rows);
        let columns: Vec<usize> = lines
            .iter()
            .zip(["STATUS", "ready", "failed"])
            .map(|(line, word)| measure_text_width(&line[..line.find(word).unwrap()]))
            .collect();
        assert_eq!(columns, [10, 10, 10]);
    }

    #[test]
    fn lengths_are_whole_seconds() {
        let rate = FrameRate::new(30000, 1001).unwrap();
        assert_eq!(length(107_892, rate), "0:59:59");
        assert_eq!(length(107_893, rate), "1:00:00");
    }
}
