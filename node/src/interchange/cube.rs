//! Pure: looks as `.cube` files hold them (Adobe, "Cube LUT Specification" 1.0).

use protocol::preset::{LUT_SIZE_MAX, Lut};

/// Why a text is no look that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("it has no line LUT_3D_SIZE")]
    NoSize,
    #[error("it is a look of one dimension; bake it into one of three")]
    OneDimension,
    #[error("line {0} is not three numbers")]
    Numbers(usize),
    #[error("its domain is not 0 to 1")]
    Domain,
    #[error("it has {found} points, and {wanted} are a whole cube")]
    Points { wanted: usize, found: usize },
    #[error(transparent)]
    Lut(#[from] protocol::preset::Error),
}

/// Points of a file on each axis; larger ones are made smaller.
const FILE_SIZE_MAX: usize = 65;

/// Reads `text`, a look called `name` where it has no title of its own.
///
/// # Errors
/// It is no `.cube` file, or none of three dimensions from 0 to 1.
pub fn parse(text: &str, name: &str) -> Result<Lut, Error> {
    let mut title = name.to_owned();
    let mut size = None;
    let mut points: Vec<[u16; 3]> = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        let mut words = line.split_whitespace();
        match words.next() {
            None => {}
            Some(word) if word.starts_with('#') => {}
            Some("TITLE") => {
                line["TITLE".len()..]
                    .trim()
                    .trim_matches('"')
                    .clone_into(&mut title);
            }
            Some("LUT_1D_SIZE") => return Err(Error::OneDimension),
            Some("LUT_3D_SIZE") => {
                let given = words.next().and_then(|word| word.parse::<usize>().ok());
                let given = given.ok_or(Error::Numbers(number))?;
                if !(2..=FILE_SIZE_MAX).contains(&given) {
                    return Err(protocol::preset::Error::LutSize(given as u64).into());
                }
                size = Some(given);
            }
            Some(word @ ("DOMAIN_MIN" | "DOMAIN_MAX" | "LUT_3D_INPUT_RANGE")) => {
                let wanted: &[f64] = match word {
                    "DOMAIN_MIN" => &[0.0, 0.0, 0.0],
                    "DOMAIN_MAX" => &[1.0, 1.0, 1.0],
                    _ => &[0.0, 1.0],
                };
                let given: Result<Vec<f64>, _> = words.map(str::parse).collect();
                if given.ok().as_deref() != Some(wanted) {
                    return Err(Error::Domain);
                }
            }
            Some(first) => {
                let wanted = size.ok_or(Error::NoSize)?.pow(3);
                if points.len() >= wanted {
                    let found = points.len() + 1;
                    return Err(Error::Points { wanted, found });
                }
                let numbers: Vec<&str> = [first].into_iter().chain(words).collect();
                let point = point(&numbers).ok_or(Error::Numbers(number))?;
                points.push(point);
            }
        }
    }
    let size = size.ok_or(Error::NoSize)?;
    let (wanted, found) = (size.pow(3), points.len());
    if found != wanted {
        return Err(Error::Points { wanted, found });
    }
    let title: String = title
        .chars()
        .filter(|c| !c.is_control())
        .take(100)
        .collect();
    let lut = fitted(size, &points, title.trim());
    lut.check()?;
    Ok(lut)
}

/// Three numbers from 0 to 1; what lies beyond is cut.
fn point(words: &[&str]) -> Option<[u16; 3]> {
    let words: &[&str; 3] = words.try_into().ok()?;
    let mut point = [0; 3];
    for (value, word) in point.iter_mut().zip(words) {
        let number: f64 = word.parse().ok()?;
        if !number.is_finite() {
            return None;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "clamped to what fits"
        )]
        let whole = (number.clamp(0.0, 1.0) * 65_535.0).round() as u16;
        *value = whole;
    }
    Some(point)
}

/// The points as they are, or every second where there are more than are kept.
fn fitted(size: usize, points: &[[u16; 3]], name: &str) -> Lut {
    let largest = usize::from(LUT_SIZE_MAX);
    let kept = size.min(largest);
    let place = |step: usize| (step * (size - 1) + (kept - 1) / 2) / (kept - 1);
    let mut table = Vec::with_capacity(kept.pow(3) * 3);
    for blue in 0..kept {
        for green in 0..kept {
            for red in 0..kept {
                let at = place(red) + size * (place(green) + size * place(blue));
                table.extend(points.get(at).copied().unwrap_or_default());
            }
        }
    }
    Lut {
        name: if name.is_empty() { "look" } else { name }.to_owned(),
        size: u8::try_from(kept).unwrap_or(LUT_SIZE_MAX),
        table,
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    fn file(size: usize, head: &str) -> String {
        let mut text = format!("{head}LUT_3D_SIZE {size}\n");
        let step = |number: usize| {
            let of = |number: usize| f64::from(u32::try_from(number).unwrap());
            of(number) / of(size - 1)
        };
        for number in 0..size.pow(3) {
            let (red, green, blue) = (number % size, number / size % size, number / size / size);
            writeln!(text, "{} {:.6} {}", step(red), step(green), step(blue)).unwrap();
        }
        text
    }

    #[test]
    fn a_look_is_read_with_its_title() {
        let lut = parse(
            &file(2, "# by hand\nTITLE \"Day for night\"\nDOMAIN_MIN 0 0 0\n"),
            "x",
        );
        let lut = lut.unwrap();
        assert_eq!((lut.name.as_str(), lut.size), ("Day for night", 2));
        assert_eq!(lut.table[..6], [0, 0, 0, 65_535, 0, 0]);
        assert_eq!(parse(&file(33, ""), "name").unwrap().name, "name");
    }

    #[test]
    fn a_large_one_is_made_smaller_and_keeps_its_ends() {
        let lut = parse(&file(65, ""), "large").unwrap();
        assert_eq!(lut.size, 33);
        assert_eq!(lut.table[..3], [0, 0, 0]);
        assert_eq!(lut.table[lut.table.len() - 3..], [65_535, 65_535, 65_535]);
        assert_eq!(lut.table[3], 2048);
    }

    #[test]
    fn what_is_no_look_is_named() {
        let check = |text: &str, error: Error| assert_eq!(parse(text, "x"), Err(error));
        check("", Error::NoSize);
        check("0 0 0", Error::NoSize);
        check("LUT_1D_SIZE 4", Error::OneDimension);
        check("LUT_3D_SIZE 2\n1 2", Error::Numbers(2));
        check("LUT_3D_SIZE 2\n1 2 NaN", Error::Numbers(2));
        check("LUT_3D_SIZE x", Error::Numbers(1));
        check(
            "LUT_3D_SIZE 2\n0 0 0",
            Error::Points {
                wanted: 8,
                found: 1,
            },
        );
        check("DOMAIN_MAX 2 2 2\nLUT_3D_SIZE 2", Error::Domain);
        let size = protocol::preset::Error::LutSize(9_999_999);
        check("LUT_3D_SIZE 9999999", size.into());
    }
}
