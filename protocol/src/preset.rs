//! Pure: presets of edit proxies: coding, size, look and what is written into the picture.

use std::fmt;

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::id::BlobHash;
use crate::media::Resolution;
use crate::probe::VideoTrack;

/// Longest name of a preset in bytes.
pub const NAME_MAX_BYTES: usize = 40;
/// Lines of the presets that are built in: half of Full HD.
pub const LINES_DEFAULT: u32 = 540;
/// Highest picture of a proxy in lines: that of 8K.
pub const LINES_MAX: u32 = 4320;
/// Lowest.
pub const LINES_MIN: u32 = 64;
/// Points of a look on each axis.
pub const LUT_SIZE_MAX: u8 = 33;

/// How the pictures of an edit proxy are coded. Append only.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[repr(u8)]
pub enum EditCodec {
    ProresProxy = 0,
    ProresLt = 1,
    DnxhrLb = 2,
    /// Every picture a key picture.
    H264Intra = 3,
}

impl EditCodec {
    pub const ALL: [Self; 4] = [
        Self::ProresProxy,
        Self::ProresLt,
        Self::DnxhrLb,
        Self::H264Intra,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ProresProxy => "prores_proxy",
            Self::ProresLt => "prores_lt",
            Self::DnxhrLb => "dnxhr_lb",
            Self::H264Intra => "h264_intra",
        }
    }

    /// As in [`VideoTrack::codec`] of what it makes.
    pub const fn family(self) -> &'static str {
        match self {
            Self::ProresProxy | Self::ProresLt => "prores",
            Self::DnxhrLb => "dnxhd",
            Self::H264Intra => "h264",
        }
    }

    /// The smallest picture that it can code.
    const fn smallest(self) -> Resolution {
        let (width, height) = match self {
            Self::DnxhrLb => (256, 120),
            Self::ProresProxy | Self::ProresLt | Self::H264Intra => (16, 16),
        };
        Resolution { width, height }
    }
}

impl fmt::Display for EditCodec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is written into every picture.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BurnIn {
    /// The timecode of the picture.
    pub timecode: bool,
    /// The name of the file.
    pub name: bool,
}

/// How edit proxies are made. A proxy keeps a copy of the one it was made by.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Preset {
    /// `[a-z0-9-]+`, at most 40 bytes.
    pub name: String,
    /// Grows with every change that is saved; 1 for those that are built in.
    pub version: u32,
    pub codec: EditCodec,
    /// The shorter side has at most so many lines; the original's size is divided by a whole
    /// number.
    pub lines: u32,
    /// The look that is baked in, by its hash.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub lut: Option<BlobHash>,
    pub burn_in: BurnIn,
}

/// A look: for each point of a cube of colours the colour that is shown, red first and fastest.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Lut {
    /// Display text.
    pub name: String,
    /// Points on each axis.
    pub size: u8,
    /// Three numbers a point, 0 to 65535.
    pub table: Vec<u16>,
}

/// Why a preset or a look cannot be used, as the end of a sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("its name is not 1 to {NAME_MAX_BYTES} of a-z, 0-9 and -")]
    Name,
    #[error("{0} lines are not between {LINES_MIN} and {LINES_MAX}")]
    Lines(u32),
    #[error("{codec} needs pictures of at least {smallest}, and the source has {source_size}")]
    TooSmall {
        codec: EditCodec,
        smallest: Resolution,
        source_size: Resolution,
    },
    #[error("a look has 2 to {LUT_SIZE_MAX} points an axis; this one has {0}")]
    LutSize(u64),
    #[error("a look of {size} points an axis has {wanted} numbers; this one has {found}")]
    LutTable {
        size: u8,
        wanted: usize,
        found: usize,
    },
    #[error("its name is not a line of 1 to 100 characters")]
    LutName,
}

impl Preset {
    /// Those that are always there.
    pub fn built_in() -> Vec<Self> {
        let preset = |name: &str, codec| Self {
            name: name.to_owned(),
            version: 1,
            codec,
            lines: LINES_DEFAULT,
            lut: None,
            burn_in: BurnIn::default(),
        };
        vec![
            preset("dnxhr-lb", EditCodec::DnxhrLb),
            preset("h264-intra", EditCodec::H264Intra),
            preset("prores-lt", EditCodec::ProresLt),
            preset("prores-proxy", EditCodec::ProresProxy),
        ]
    }

    /// Whether each part of it is within its bounds.
    ///
    /// # Errors
    /// The first that is not.
    pub fn check(&self) -> Result<(), Error> {
        let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
        let length = self.name.len();
        if length == 0 || length > NAME_MAX_BYTES || !self.name.bytes().all(plain) {
            return Err(Error::Name);
        }
        if !(LINES_MIN..=LINES_MAX).contains(&self.lines) {
            return Err(Error::Lines(self.lines));
        }
        Ok(())
    }

    /// Whether it says the same, whatever its version.
    pub fn is_like(&self, other: &Self) -> bool {
        Self {
            version: 0,
            ..self.clone()
        } == Self {
            version: 0,
            ..other.clone()
        }
    }

    /// The size of a proxy of `video`: the original's, as it is stored, divided by the smallest
    /// whole number that leads to few enough lines. Where none divides it, the nearest even size.
    ///
    /// # Errors
    /// The original is too small for the coding.
    pub fn size(&self, video: &VideoTrack) -> Result<Resolution, Error> {
        /// 8K becomes 270 lines by it.
        const DIVISOR_MAX: u32 = 16;
        let coded = video.coded;
        let smallest = self.codec.smallest();
        let fits =
            |size: Resolution| size.width >= smallest.width && size.height >= smallest.height;
        if !fits(coded.even()) {
            return Err(Error::TooSmall {
                codec: self.codec,
                smallest,
                source_size: coded,
            });
        }
        // Colour of two lines is stored together, in each field.
        let lines_step = match (self.codec, video.field_order.as_str()) {
            (EditCodec::H264Intra, order) if order != "progressive" => 4,
            _ => 2,
        };
        let divided = |divisor: u32| Resolution {
            width: coded.width / divisor,
            height: coded.height / divisor,
        };
        let is_exact = |divisor: &u32| {
            let size = divided(*divisor);
            coded.width.is_multiple_of(*divisor)
                && coded.height.is_multiple_of(*divisor)
                && size.width.is_multiple_of(2)
                && size.height.is_multiple_of(lines_step)
        };
        let usable = || (1..=DIVISOR_MAX).filter(|divisor| fits(divided(*divisor).even()));
        let lines = |divisor: u32| divided(divisor).width.min(divided(divisor).height);
        let few = |divisor: &u32| lines(*divisor) <= self.lines;
        let exact = usable().filter(few).find(is_exact);
        // Rather somewhat larger than not a whole part of the original.
        let exact = exact.or_else(|| usable().rfind(is_exact));
        if let Some(divisor) = exact.filter(|divisor| lines(*divisor) <= self.lines * 2) {
            return Ok(divided(divisor));
        }
        let divisor = usable()
            .find(few)
            .or_else(|| usable().next_back())
            .unwrap_or(1);
        let nearest = |side: u32, step: u32| {
            let whole = divisor * step;
            ((side + whole / 2) / whole).max(1) * step
        };
        Ok(Resolution {
            width: nearest(coded.width, 2),
            height: nearest(coded.height, lines_step),
        })
    }
}

impl Lut {
    /// What it is known by.
    pub fn hash(&self) -> BlobHash {
        let numbers = self.table.iter().flat_map(|number| number.to_be_bytes());
        let bytes: Vec<u8> = [self.size]
            .into_iter()
            .chain(numbers)
            .chain(self.name.bytes())
            .collect();
        BlobHash::of(&bytes)
    }

    /// Whether it has as many numbers as its size asks for.
    ///
    /// # Errors
    /// It has not, or too many.
    pub fn check(&self) -> Result<(), Error> {
        if !(2..=LUT_SIZE_MAX).contains(&self.size) {
            return Err(Error::LutSize(self.size.into()));
        }
        let wanted = usize::from(self.size).pow(3) * 3;
        if self.table.len() != wanted {
            return Err(Error::LutTable {
                size: self.size,
                wanted,
                found: self.table.len(),
            });
        }
        let chars = self.name.chars().count();
        if chars == 0 || chars > 100 || self.name.chars().any(char::is_control) {
            return Err(Error::LutName);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::FrameRate;
    use crate::probe::Colour;

    fn video(width: u32, height: u32, field_order: &str) -> VideoTrack {
        let size = Resolution { width, height };
        VideoTrack {
            codec: "h264".to_owned(),
            coded: size,
            display: size,
            pixel_aspect: (1, 1),
            rotation: 0,
            frame_rate: FrameRate::new(25, 1).unwrap(),
            variable_frame_rate: false,
            frames: 1,
            duration_ns: 1,
            bit_depth: 8,
            chroma: "4:2:0".to_owned(),
            field_order: field_order.to_owned(),
            colorimetry: String::new(),
            colour: Colour::default(),
            hdr: false,
            random_access: false,
        }
    }

    #[test]
    fn a_proxy_is_a_whole_part_of_its_original_where_there_is_one() {
        let presets = Preset::built_in();
        let of = |name: &str, (width, height), order| {
            let preset = presets.iter().find(|preset| preset.name == name).unwrap();
            let size = preset.size(&video(width, height, order));
            size.map(|size| (size.width, size.height)).ok()
        };
        for (source, size) in [
            ((1920, 1080), (960, 540)),
            ((3840, 2160), (960, 540)),
            ((7680, 4320), (960, 540)),
            ((1440, 1080), (720, 540)),
            ((1280, 720), (640, 360)),
            ((720, 576), (360, 288)),
            ((320, 180), (320, 180)),
            ((1080, 1920), (540, 960)),
            // 429 is odd: the fourth part is none that can be stored.
            ((4096, 1716), (2048, 858)),
        ] {
            let found = of("prores-proxy", source, "progressive");
            assert_eq!(found, Some(size), "{source:?}");
        }
        // Both sides are products of other primes.
        assert_eq!(
            of("prores-lt", (1919, 1079), "progressive"),
            Some((960, 540))
        );
        assert_eq!(of("h264-intra", (1920, 1080), "tff"), Some((960, 540)));
        assert_eq!(of("h264-intra", (720, 486), "bff"), Some((720, 488)));
        assert_eq!(of("dnxhr-lb", (320, 180), "progressive"), Some((320, 180)));
        assert_eq!(of("dnxhr-lb", (160, 90), "progressive"), None);
        assert_eq!(of("prores-lt", (1, 1), "progressive"), None);
    }

    #[test]
    fn names_and_lines_have_bounds_and_what_is_built_in_keeps_them() {
        for preset in Preset::built_in() {
            assert_eq!(preset.check(), Ok(()));
            let name = |name: &str| Preset {
                name: name.to_owned(),
                ..preset.clone()
            };
            for bad in ["", "A", "a/b", "ü", &"a".repeat(41)] {
                assert_eq!(name(bad).check(), Err(Error::Name));
            }
            let lines = Preset {
                lines: 63,
                ..preset
            };
            assert_eq!(lines.check(), Err(Error::Lines(63)));
        }
    }

    #[test]
    fn a_look_has_as_many_numbers_as_points() {
        let mut lut = Lut {
            name: "day".to_owned(),
            size: 2,
            table: vec![0; 24],
        };
        assert_eq!(lut.check(), Ok(()));
        lut.table.pop();
        assert!(lut.check().is_err());
        lut.size = 34;
        assert_eq!(lut.check(), Err(Error::LutSize(34)));
    }
}
