//! Pure: from pictures of a high dynamic range, or of wide colours, to what a plain screen shows.
//!
//! The light of a pixel is computed in nits as ITU-R BT.2100 has it, brought down by the curve of
//! BT.2390 (5.4), turned from the primaries of BT.2020 to those of BT.709, and written for a
//! screen after BT.1886. Diffuse white, 203 nits by BT.2408, becomes nearly the white of the plain
//! picture, as graders expect it; what is brighter is compressed into what remains.
//!
//! All this is done once for a grid of colours; a pixel is looked up and interpolated.

#![deny(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::iter_over_hash_type
)]
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "colours are computed in floating point and clamped"
)]

/// How light is written in the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transfer {
    /// SMPTE ST 2084.
    Pq,
    /// ARIB STD-B67, shown on a screen of 1000 nits.
    Hlg,
    /// As a plain screen shows it; only the colours are wide.
    Plain,
}

/// How Y, Cb and Cr of the source are made of red, green and blue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Matrix {
    Bt2020,
    Bt709,
    Bt601,
}

/// What is known of a source.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Source {
    pub transfer: Transfer,
    pub matrix: Matrix,
    /// All code values are used, not only 64 to 940 of ten bits.
    pub full_range: bool,
    /// The brightest light in it, in nits.
    pub peak: f32,
}

/// Diffuse white (ITU-R BT.2408, 2.1): what a plain picture's white stands for.
const WHITE: f32 = 203.0;
/// What HLG is shown on, and PQ was graded on unless it says otherwise.
pub const USUAL_PEAK: f32 = 1000.0;
/// BT.1886.
const GAMMA: f32 = 2.4;

/// Red, green, blue.
type Light = [f32; 3];

/// ST 2084 to the share of 10 000 nits.
fn pq_to_light(code: f32) -> f32 {
    let power = code.max(0.0).powf(1.0 / PQ_M2);
    ((power - PQ_C1).max(0.0) / (PQ_C2 - PQ_C3 * power)).powf(1.0 / PQ_M1)
}

/// The share of 10 000 nits to ST 2084.
fn light_to_pq(light: f32) -> f32 {
    let power = light.max(0.0).powf(PQ_M1);
    ((PQ_C1 + PQ_C2 * power) / (1.0 + PQ_C3 * power)).powf(PQ_M2)
}

const PQ_M1: f32 = 2610.0 / 16384.0;
const PQ_M2: f32 = 2523.0 / 4096.0 * 128.0;
const PQ_C1: f32 = 3424.0 / 4096.0;
const PQ_C2: f32 = 2413.0 / 4096.0 * 32.0;
const PQ_C3: f32 = 2392.0 / 4096.0 * 32.0;

/// HLG to the light of the scene, 0 to 1 (BT.2100, table 5).
fn hlg_to_scene(code: f32) -> f32 {
    const A: f32 = 0.178_832_77;
    const B: f32 = 1.0 - 4.0 * A;
    const C: f32 = 0.559_910_7;
    let code = code.clamp(0.0, 1.0);
    if code <= 0.5 {
        code * code / 3.0
    } else {
        (((code - C) / A).exp() + B) / 12.0
    }
}

/// BT.2020's own share of each colour in brightness.
const WIDE_LUMA: Light = [0.2627, 0.6780, 0.0593];
const PLAIN_LUMA: Light = [0.2126, 0.7152, 0.0722];
/// BT.2020 to BT.709 (ITU-R BT.2407, 2).
const TO_PLAIN: [Light; 3] = [
    [1.6605, -0.5876, -0.0728],
    [-0.1246, 1.1329, -0.0083],
    [-0.0182, -0.1006, 1.1187],
];

fn brightness(light: Light, luma: Light) -> f32 {
    light
        .iter()
        .zip(luma)
        .map(|(light, share)| light * share)
        .sum()
}

impl Source {
    /// Code values as shares of their range to red, green and blue as written.
    fn colours(self, y: f32, cb: f32, cr: f32) -> Light {
        let (red, blue) = match self.matrix {
            Matrix::Bt2020 => (0.2627, 0.0593),
            Matrix::Bt709 => (0.2126, 0.0722),
            Matrix::Bt601 => (0.299, 0.114),
        };
        let r = y + 2.0 * (1.0 - red) * cr;
        let b = y + 2.0 * (1.0 - blue) * cb;
        let g = (y - red * r - blue * b) / (1.0 - red - blue);
        [r, g, b]
    }

    /// Written colours to light, 1 being the white of the plain picture.
    fn light(self, written: Light) -> Light {
        match self.transfer {
            Transfer::Pq => written.map(|code| pq_to_light(code) * 10_000.0 / WHITE),
            Transfer::Hlg => {
                let scene = written.map(hlg_to_scene);
                // The system gamma of a screen of 1000 nits is 1.2 (BT.2100, note 5f).
                let gain = brightness(scene, WIDE_LUMA).max(1e-6).powf(0.2);
                scene.map(|light| light * gain * USUAL_PEAK / WHITE)
            }
            Transfer::Plain => written.map(|code| code.clamp(0.0, 1.0).powf(GAMMA)),
        }
    }

    /// BT.2390, 5.4.1: a curve that leaves what is dark alone and bends before the peak.
    fn compressed(self, light: f32) -> f32 {
        if self.transfer == Transfer::Plain || self.peak <= WHITE {
            return light.min(1.0);
        }
        let top = light_to_pq(self.peak / 10_000.0);
        let most = light_to_pq(WHITE / 10_000.0) / top;
        let at = (light_to_pq(light * WHITE / 10_000.0) / top).min(1.0);
        let knee = 1.5 * most - 0.5;
        let bent = if at < knee {
            at
        } else {
            let t = (at - knee) / (1.0 - knee);
            let (t2, t3) = (t * t, t * t * t);
            (2.0 * t3 - 3.0 * t2 + 1.0) * knee
                + (t3 - 2.0 * t2 + t) * (1.0 - knee)
                + (3.0 * t2 - 2.0 * t3) * most
        };
        pq_to_light(bent * top) * 10_000.0 / WHITE
    }

    /// From code values to those of the plain picture, 0 to 1 and -0.5 to 0.5.
    fn plain(self, y: f32, cb: f32, cr: f32) -> [f32; 3] {
        let light = self.light(self.colours(y, cb, cr));
        let brightest = light.iter().copied().fold(0.0, f32::max);
        // All three by the same share, so that the hue stays.
        let share = if brightest > 1e-6 {
            self.compressed(brightest) / brightest
        } else {
            1.0
        };
        let wide = light.map(|light| light * share);
        // Colours purer than BT.709 knows become its own purest.
        let mut plain = TO_PLAIN.map(|row| brightness(wide, row).max(0.0));
        // What is too bright is brought in towards grey of the same brightness: cutting the
        // colours one by one would turn their hue.
        let grey = brightness(plain, PLAIN_LUMA).min(1.0);
        let brightest = plain.iter().copied().fold(0.0, f32::max);
        let keep = if brightest > 1.0 {
            (1.0 - grey) / (brightest - grey)
        } else {
            1.0
        };
        plain = plain.map(|colour| (grey + (colour - grey) * keep).clamp(0.0, 1.0));
        let [r, g, b] = plain.map(|colour| colour.powf(1.0 / GAMMA));
        let y = brightness([r, g, b], PLAIN_LUMA);
        let cb = (b - y) / (2.0 * (1.0 - PLAIN_LUMA[2]));
        let cr = (r - y) / (2.0 * (1.0 - PLAIN_LUMA[0]));
        [y, cb, cr]
    }
}

/// Steps of the grid over ten bits, alike for brightness and colour differences. With half as many,
/// saturated colours are off by more than the eye forgives.
const Y_STEPS: usize = 64;
const C_STEPS: usize = 64;
const Y_SHIFT: u32 = 4;
const C_SHIFT: u32 = 4;
/// Bits below one code value of eight bits in the grid.
const FINE: u32 = 6;

/// One column of the grid: all brightnesses of one colour.
#[derive(Debug, Clone, Copy)]
struct Column {
    y: [u16; Y_STEPS + 1],
    cb: [u16; Y_STEPS + 1],
    cr: [u16; Y_STEPS + 1],
}

/// The grid of one source.
#[derive(Debug)]
pub struct Grid {
    columns: Vec<Column>,
}

/// The columns around a colour, with the share of each in 256.
#[derive(Debug, Clone, Copy)]
pub struct Around<'a> {
    columns: [&'a Column; 4],
    shares: [u32; 4],
}

impl Grid {
    pub fn new(source: Source) -> Self {
        let mut columns = Vec::with_capacity((C_STEPS + 1) * (C_STEPS + 1));
        let (black, luma, chroma) = if source.full_range {
            (0.0, 1023.0, 1023.0)
        } else {
            (64.0, 876.0, 896.0)
        };
        let code = |step: usize, shift: u32| (step << shift) as u16;
        for cb in 0..=C_STEPS {
            for cr in 0..=C_STEPS {
                let mut column = Column {
                    y: [0; Y_STEPS + 1],
                    cb: [0; Y_STEPS + 1],
                    cr: [0; Y_STEPS + 1],
                };
                for step in 0..=Y_STEPS {
                    let difference =
                        |step: usize| (f32::from(code(step, C_SHIFT)) - 512.0) / chroma;
                    let bright = (f32::from(code(step, Y_SHIFT)) - black) / luma;
                    let [y, b, r] = source.plain(bright, difference(cb), difference(cr));
                    let fine = |value: f32| {
                        let value = value * f32::from(1_u16 << FINE);
                        value.round().clamp(0.0, 16_383.0) as u16
                    };
                    column.y[step] = fine(16.0 + 219.0 * y);
                    column.cb[step] = fine(128.0 + 224.0 * b);
                    column.cr[step] = fine(128.0 + 224.0 * r);
                }
                columns.push(column);
            }
        }
        Self { columns }
    }

    /// The surroundings of a colour of ten bits.
    pub fn around(&self, cb: u16, cr: u16) -> Around<'_> {
        let (cb, cr) = (u32::from(cb & 1023), u32::from(cr & 1023));
        let (low_b, low_r) = ((cb >> C_SHIFT) as usize, (cr >> C_SHIFT) as usize);
        let (part_b, part_r) = (cb & 15, cr & 15);
        let at = |b: usize, r: usize| &self.columns[b * (C_STEPS + 1) + r];
        Around {
            columns: [
                at(low_b, low_r),
                at(low_b, low_r + 1),
                at(low_b + 1, low_r),
                at(low_b + 1, low_r + 1),
            ],
            shares: [
                (16 - part_b) * (16 - part_r),
                (16 - part_b) * part_r,
                part_b * (16 - part_r),
                part_b * part_r,
            ],
        }
    }
}

impl Around<'_> {
    /// The brightness of eight bits of a pixel whose brightness of ten bits is `y`.
    #[inline]
    pub fn luma(&self, y: u16) -> u8 {
        self.value(y, |column| &column.y)
    }

    /// Both colour differences at that brightness.
    #[inline]
    pub fn chroma(&self, y: u16) -> (u8, u8) {
        (
            self.value(y, |column| &column.cb),
            self.value(y, |column| &column.cr),
        )
    }

    #[inline]
    fn value(&self, y: u16, values: impl Fn(&Column) -> &[u16; Y_STEPS + 1]) -> u8 {
        let y = u32::from(y & 1023);
        let (low, part) = ((y >> Y_SHIFT) as usize, y & 15);
        let mut sum = 0;
        for (column, share) in self.columns.iter().zip(self.shares) {
            let values = values(column);
            let (a, b) = (u32::from(values[low]), u32::from(values[low + 1]));
            sum += share * (a * (16 - part) + b * part);
        }
        // Eight bits of shares, four of the step, and the fine ones.
        ((sum + (1 << (11 + FINE))) >> (12 + FINE)) as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PQ: Source = Source {
        transfer: Transfer::Pq,
        matrix: Matrix::Bt2020,
        full_range: false,
        peak: USUAL_PEAK,
    };

    /// Ten-bit code of a grey of so many nits.
    fn pq_code(nits: f32) -> u16 {
        (64.0 + 876.0 * light_to_pq(nits / 10_000.0)).round() as u16
    }

    fn mapped(grid: &Grid, [y, cb, cr]: [u16; 3]) -> [u8; 3] {
        let around = grid.around(cb, cr);
        let (b, r) = around.chroma(y);
        [around.luma(y), b, r]
    }

    #[test]
    fn known_codes_are_known_light() {
        // BT.2408, table 1: 58 % of PQ are 203 nits, 38 % are 26.
        assert!((pq_to_light(0.58) * 10_000.0 - 203.0).abs() < 4.0);
        assert!((pq_to_light(0.38) * 10_000.0 - 26.0).abs() < 1.0);
        assert!((light_to_pq(1.0) - 1.0).abs() < 1e-4);
        // 75 % of HLG are 203 nits on a screen of 1000.
        let hlg = Source {
            transfer: Transfer::Hlg,
            ..PQ
        };
        let white = hlg.light([0.75; 3]);
        assert!((white[1] - 1.0).abs() < 0.02, "{white:?}");
    }

    #[test]
    fn greys_stay_grey_and_keep_their_order() {
        let grid = Grid::new(PQ);
        let mut before = 0;
        for code in 64..=940 {
            let [y, cb, cr] = mapped(&grid, [code, 512, 512]);
            assert!(y >= before, "{code}");
            assert!(
                cb.abs_diff(128) <= 1 && cr.abs_diff(128) <= 1,
                "{code}: {cb} {cr}"
            );
            before = y;
        }
        assert_eq!(mapped(&grid, [64, 512, 512]), [16, 128, 128]);
        // 1000 nits are white, and what is brighter is no brighter.
        assert!(mapped(&grid, [pq_code(1000.0), 512, 512])[0] >= 234);
        assert!(mapped(&grid, [940, 512, 512])[0] >= 234);
    }

    #[test]
    fn grey_and_white_cards_look_as_on_a_plain_screen() {
        let grid = Grid::new(PQ);
        // An 18 % grey card is 26 nits; in BT.709 it is written as 41 to 43 %: 106 to 110.
        let card = mapped(&grid, [pq_code(26.0), 512, 512])[0];
        assert!((104..=112).contains(&card), "{card}");
        // Diffuse white leaves room for what is brighter, and is still white to the eye.
        let white = mapped(&grid, [pq_code(203.0), 512, 512])[0];
        assert!((205..=225).contains(&white), "{white}");
    }

    #[test]
    fn colours_that_both_know_come_out_as_they_are() {
        // BT.709's red, green and blue at 50 nits, written in BT.2020: below the bend.
        const TO_WIDE: [Light; 3] = [
            [0.6274, 0.3293, 0.0433],
            [0.0691, 0.9195, 0.0114],
            [0.0164, 0.0880, 0.8956],
        ];
        let grid = Grid::new(PQ);
        // Half pure as cameras see things; and wholly pure, where a step of the grid is a leap.
        for (plain, tolerance) in [
            ([1.0, 0.3, 0.3], 2.5),
            ([0.3, 1.0, 0.3], 2.5),
            ([0.3, 0.3, 1.0], 2.5),
            ([0.9, 0.6, 0.45], 2.5),
            ([1.0, 0.0, 0.0], 14.0),
            ([0.0, 1.0, 0.0], 14.0),
            ([0.0, 0.0, 1.0], 14.0),
        ] {
            let nits = TO_WIDE.map(|row| brightness(plain, row) * 50.0);
            let [r, g, b] = nits.map(|nits| light_to_pq(nits / 10_000.0));
            let y = brightness([r, g, b], WIDE_LUMA);
            let code = |value: f32, scale: f32, zero: f32| (zero + scale * value).round() as u16;
            let source = [
                code(y, 876.0, 64.0),
                code((b - y) / 1.8814, 896.0, 512.0),
                code((r - y) / 1.4746, 896.0, 512.0),
            ];
            let level = (50.0_f32 / WHITE).powf(1.0 / GAMMA);
            let [r, g, b] = plain.map(|colour: f32| colour.powf(1.0 / GAMMA) * level);
            let y = brightness([r, g, b], PLAIN_LUMA);
            let expected = [
                16.0 + 219.0 * y,
                128.0 + 224.0 * (b - y) / 1.8556,
                128.0 + 224.0 * (r - y) / 1.5748,
            ];
            let got = mapped(&grid, source).map(f32::from);
            for (got, expected) in got.iter().zip(expected) {
                assert!(
                    (got - expected).abs() < tolerance,
                    "{plain:?}: {got} {expected}"
                );
            }
        }
    }

    #[test]
    fn what_a_plain_screen_cannot_show_keeps_its_hue() {
        let grid = Grid::new(PQ);
        // BT.2020's own green, 100 nits: no BT.709 colour. It stays a strong green.
        let level = light_to_pq(0.01);
        let y = 0.678 * level;
        let code = |value: f32, scale: f32, zero: f32| (zero + scale * value).round() as u16;
        let green = [
            code(y, 876.0, 64.0),
            code(-y / 1.8814, 896.0, 512.0),
            code(-y / 1.4746, 896.0, 512.0),
        ];
        let [y, cb, cr] = mapped(&grid, green);
        assert!(y > 100 && cb < 75 && cr < 60, "{y} {cb} {cr}");
    }

    #[test]
    fn wide_colours_without_a_high_range_keep_their_brightness() {
        let wide = Source {
            transfer: Transfer::Plain,
            ..PQ
        };
        let grid = Grid::new(wide);
        for (code, expected) in [(64, 16_u8), (502, 126), (940, 235)] {
            let [y, cb, cr] = mapped(&grid, [code, 512, 512]);
            assert!(y.abs_diff(expected) <= 1, "{code}: {y}");
            assert_eq!((cb, cr), (128, 128));
        }
        let full = Grid::new(Source {
            full_range: true,
            ..wide
        });
        assert_eq!(mapped(&full, [0, 512, 512])[0], 16);
        assert!(mapped(&full, [1023, 512, 512])[0] >= 234);
    }
}
