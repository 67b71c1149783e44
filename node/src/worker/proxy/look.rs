//! What is done to raw pictures on their way: a look, a timecode, and a print to know them again by.

use gst_video::prelude::*;
use protocol::clip::Clock;
use protocol::preset::Lut;

/// A picture as a few numbers: the brightness of each field of a grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Print([u8; GRID * GRID]);

const GRID: usize = 8;
/// Coding moves the brightness of a field by less than this, on average, in 256 steps.
const ALIKE: u32 = 6;
/// Looked at of each field: so many lines, and so many columns of each.
const SAMPLES: usize = 8;
const SAMPLED: u32 = 64;
const FIELDS: u32 = 64;

impl Print {
    /// The print of a planar picture of 8 or 10 bits.
    pub(super) fn of(frame: &gst_video::VideoFrameRef<&gst::BufferRef>) -> Option<Self> {
        let wide = frame
            .format_info()
            .depth()
            .first()
            .is_some_and(|depth| *depth > 8);
        let (width, height) = (frame.width() as usize, frame.height() as usize);
        let stride = usize::try_from(*frame.plane_stride().first()?).ok()?;
        let data = frame.plane_data(0).ok()?;
        let value = |x: usize, y: usize| -> Option<u32> {
            if wide {
                let at = y * stride + 2 * x;
                let word = data.get(at..at + 2)?;
                Some(u32::from(u16::from_le_bytes([word[0], word[1]]) >> 2))
            } else {
                data.get(y * stride + x).copied().map(u32::from)
            }
        };
        let mut print = [0; GRID * GRID];
        for (number, cell) in print.iter_mut().enumerate() {
            let (column, row) = (number % GRID, number / GRID);
            let mut sum = 0;
            for step in 0..SAMPLES * SAMPLES {
                let place = |cell: usize, step: usize, side: usize| {
                    (cell * SAMPLES + step) * side / (GRID * SAMPLES)
                };
                let x = place(column, step % SAMPLES, width);
                let y = place(row, step / SAMPLES, height);
                sum += value(x.min(width - 1), y.min(height - 1))?;
            }
            *cell = u8::try_from(sum / SAMPLED).unwrap_or(u8::MAX);
        }
        Some(Self(print))
    }

    /// Whether both may be the same picture, coded and not.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let pairs = self.0.iter().zip(&other.0);
        let sum: u32 = pairs
            .map(|(one, other)| u32::from(one.abs_diff(*other)))
            .sum();
        sum <= ALIKE * FIELDS
    }
}

/// Gives `frame`, of 16-bit ARGB, the look of `lut`: straight lines between its points.
pub(super) fn apply(lut: &Lut, frame: &mut gst_video::VideoFrameRef<&mut gst::BufferRef>) {
    let (width, height) = (frame.width() as usize, frame.height() as usize);
    let Some(stride) = frame
        .plane_stride()
        .first()
        .and_then(|stride| usize::try_from(*stride).ok())
    else {
        return;
    };
    let Ok(data) = frame.plane_data_mut(0) else {
        return;
    };
    for line in data.chunks_mut(stride).take(height) {
        for pixel in line.chunks_exact_mut(8).take(width) {
            let word = |at: usize| u16::from_le_bytes([pixel[at], pixel[at + 1]]);
            let seen = looked_up(lut, [word(2), word(4), word(6)]);
            for (number, value) in seen.into_iter().enumerate() {
                let at = 2 + 2 * number;
                pixel[at..at + 2].copy_from_slice(&value.to_le_bytes());
            }
        }
    }
}

/// The colour that `lut` shows for `rgb`, between the eight points around it.
fn looked_up(lut: &Lut, rgb: [u16; 3]) -> [u16; 3] {
    let last = u32::from(lut.size) - 1;
    // Which point lies below, and how far towards the next, in parts of 65536.
    let place = |value: u16| {
        let scaled = u64::from(value) * u64::from(last) * 0x1_0000 / 0xffff;
        let below = u32::try_from(scaled >> 16)
            .unwrap_or(last)
            .min(last.saturating_sub(1));
        let part = u32::try_from(scaled - (u64::from(below) << 16)).unwrap_or(0x1_0000);
        (below as usize, u64::from(part.min(0x1_0000)))
    };
    let [red, green, blue] = rgb.map(place);
    let size = usize::from(lut.size);
    let point = |r: usize, g: usize, b: usize| {
        let at = 3 * (r + size * (g + size * b));
        lut.table.get(at..at + 3).unwrap_or(&[0, 0, 0])
    };
    let mut seen = [0_u64; 3];
    for corner in 0..8_usize {
        let side = |(below, part): (usize, u64), bit: usize| {
            if corner >> bit & 1 == 1 {
                (below + 1, part)
            } else {
                (below, 0x1_0000 - part)
            }
        };
        let ((r, wr), (g, wg), (b, wb)) = (side(red, 0), side(green, 1), side(blue, 2));
        // All eight together are 1 << 48, so that no sum below overflows.
        let weight = wr * wg * wb;
        if weight > 0 {
            for (sum, value) in seen.iter_mut().zip(point(r, g, b)) {
                *sum += u64::from(*value) * weight;
            }
        }
    }
    seen.map(|sum| u16::try_from(sum >> 48).unwrap_or(u16::MAX))
}

/// Writes the timecode of `frame_number` at the lower edge of a planar picture.
pub(super) fn burn(
    clock: Option<&Clock>,
    frame_number: u64,
    frame: &mut gst_video::VideoFrameRef<&mut gst::BufferRef>,
) {
    let text = match clock {
        Some(clock) => clock.at(frame_number).to_string(),
        None => frame_number.to_string(),
    };
    let (width, height) = (frame.width() as usize, frame.height() as usize);
    // A fifteenth of the height, as long as the text fits.
    let dot = (height / (15 * (ROWS + 2)))
        .min(width / ((COLUMNS + 1) * text.len() + 1))
        .max(1);
    let (box_width, box_height) = (((COLUMNS + 1) * text.len() + 1) * dot, (ROWS + 2) * dot);
    let left = width.saturating_sub(box_width) / 2;
    let top = height.saturating_sub(box_height + height / 20);
    let format = frame.format_info();
    let wide = format.depth().first().is_some_and(|depth| *depth > 8);
    let strides: Vec<usize> = (frame.plane_stride().iter())
        .map(|stride| usize::try_from(*stride).unwrap_or(0))
        .collect();
    let lit = |x: usize, y: usize| {
        let (column, row) = (x / dot, y / dot);
        let letter = column
            .checked_sub(1)
            .map(|column| (column / (COLUMNS + 1), column % (COLUMNS + 1)));
        match (letter, row.checked_sub(1)) {
            (Some((letter, column)), Some(row)) if column < COLUMNS && row < ROWS => {
                let glyph = text
                    .as_bytes()
                    .get(letter)
                    .map_or([0; ROWS], |byte| glyph(*byte));
                glyph[row] >> (COLUMNS - 1 - column) & 1 == 1
            }
            _ => false,
        }
    };
    for plane in 0..format.n_planes().min(3) {
        let component = plane as usize;
        let (sub_x, sub_y) = (
            format.w_sub().get(component).copied().unwrap_or(0),
            format.h_sub().get(component).copied().unwrap_or(0),
        );
        let stride = strides.get(component).copied().unwrap_or(0);
        let Ok(data) = frame.plane_data_mut(plane) else {
            return;
        };
        for y in (top >> sub_y)..((top + box_height) >> sub_y) {
            for x in (left >> sub_x)..((left + box_width) >> sub_x) {
                let value: u16 = match component {
                    0 if lit(x - left, y - top) => 235,
                    0 => 16,
                    _ => 128,
                };
                if wide {
                    let at = y * stride + 2 * x;
                    if let Some(word) = data.get_mut(at..at + 2) {
                        word.copy_from_slice(&(value << 2).to_le_bytes());
                    }
                } else if let Some(byte) = data.get_mut(y * stride + x) {
                    *byte = u8::try_from(value).unwrap_or(0);
                }
            }
        }
    }
}

const COLUMNS: usize = 5;
const ROWS: usize = 7;

/// Digits and the marks between them, five dots by seven.
const fn glyph(byte: u8) -> [u8; ROWS] {
    match byte {
        b'0' => [0x0e, 0x11, 0x13, 0x15, 0x19, 0x11, 0x0e],
        b'1' => [0x04, 0x0c, 0x04, 0x04, 0x04, 0x04, 0x0e],
        b'2' => [0x0e, 0x11, 0x01, 0x02, 0x04, 0x08, 0x1f],
        b'3' => [0x1f, 0x02, 0x04, 0x02, 0x01, 0x11, 0x0e],
        b'4' => [0x02, 0x06, 0x0a, 0x12, 0x1f, 0x02, 0x02],
        b'5' => [0x1f, 0x10, 0x1e, 0x01, 0x01, 0x11, 0x0e],
        b'6' => [0x06, 0x08, 0x10, 0x1e, 0x11, 0x11, 0x0e],
        b'7' => [0x1f, 0x01, 0x02, 0x04, 0x08, 0x08, 0x08],
        b'8' => [0x0e, 0x11, 0x11, 0x0e, 0x11, 0x11, 0x0e],
        b'9' => [0x0e, 0x11, 0x11, 0x0f, 0x01, 0x02, 0x0c],
        b':' => [0x00, 0x0c, 0x0c, 0x00, 0x0c, 0x0c, 0x00],
        b';' => [0x00, 0x0c, 0x0c, 0x00, 0x0c, 0x04, 0x08],
        _ => [0; ROWS],
    }
}

/// A line of text for the upper edge, as SVG.
pub(super) fn caption(text: &str) -> String {
    let plain: String = text
        .chars()
        .filter(|letter| !letter.is_control())
        .take(200)
        .flat_map(|letter| match letter {
            '<' => "&lt;".chars().collect::<Vec<_>>(),
            '>' => "&gt;".chars().collect(),
            '&' => "&amp;".chars().collect(),
            '"' => "&quot;".chars().collect(),
            letter => vec![letter],
        })
        .collect();
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 1000 560\">\
         <text x=\"500\" y=\"36\" text-anchor=\"middle\" font-family=\"DejaVu Sans\" font-size=\"22\" \
         fill=\"#ebebeb\" stroke=\"#101010\" stroke-width=\"4\" paint-order=\"stroke\">{plain}</text></svg>"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lut(size: u8, of: impl Fn([u64; 3]) -> [u64; 3]) -> Lut {
        let last = u64::from(size) - 1;
        let mut table = Vec::new();
        for number in 0..u64::from(size).pow(3) {
            let place = [
                number % u64::from(size),
                number / u64::from(size) % u64::from(size),
                number / u64::from(size).pow(2),
            ];
            let seen = of(place.map(|step| step * 65_535 / last));
            table.extend(seen.map(|value| u16::try_from(value).unwrap()));
        }
        Lut {
            name: "test".to_owned(),
            size,
            table,
        }
    }

    #[test]
    fn a_look_that_changes_nothing_changes_nothing() {
        for size in [2, 17, 33] {
            let same = lut(size, |rgb| rgb);
            for value in (0..=u16::MAX).step_by(257) {
                let seen = looked_up(&same, [value, 65_535 - value, 12_345]);
                for (seen, wanted) in seen.into_iter().zip([value, 65_535 - value, 12_345]) {
                    assert!(seen.abs_diff(wanted) <= 4, "{seen} instead of {wanted}");
                }
            }
        }
    }

    #[test]
    fn red_stays_red_and_lines_are_straight() {
        let swapped = lut(2, |[red, green, blue]| [blue, red, green / 2]);
        let [red, green, blue] = looked_up(&swapped, [65_535, 32_768, 0]);
        assert!(red <= 1 && green >= 65_533, "{red} {green}");
        assert!(blue.abs_diff(16_383) <= 4, "{blue}");
    }

    #[test]
    fn a_caption_cannot_break_out_of_its_text() {
        let text = caption("a</text><script>&\u{7}\"");
        assert!(
            text.contains("a&lt;/text&gt;&lt;script&gt;&amp;&quot;</text>"),
            "{text}"
        );
    }

    #[test]
    fn digits_differ() {
        let glyphs: std::collections::BTreeSet<_> =
            b"0123456789:;".iter().map(|byte| glyph(*byte)).collect();
        assert_eq!(glyphs.len(), 12);
    }
}
