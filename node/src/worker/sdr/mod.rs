//! A filter that makes pictures of a high dynamic range fit for a plain screen.
//!
//! GStreamer 1.22 has none. It takes ten-bit 4:2:0 and gives eight-bit 4:2:0 in BT.709; see
//! [`curve`] for what it does to colours.

pub mod curve;

use std::sync::{LazyLock, Mutex, OnceLock, PoisonError};

use gst::glib;
use gst::prelude::*;
use gst_video::gst_base::subclass::BaseTransformMode;
use gst_video::prelude::*;
use gst_video::subclass::prelude::*;
use protocol::failure::Failure;
use protocol::worker::Pipeline;

use self::curve::{Grid, Matrix, Source, Transfer};
use super::pipeline::internal;

glib::wrapper! {
    pub(super) struct ToSdr(ObjectSubclass<Filter>)
        @extends gst_video::VideoFilter, gst_video::gst_base::BaseTransform, gst::Element, gst::Object;
}

/// Makes the filter known to GStreamer under [`Pipeline::TO_SDR`].
pub(super) fn register() -> Result<(), Failure> {
    static DONE: OnceLock<bool> = OnceLock::new();
    let done = DONE.get_or_init(|| {
        let rank = gst::Rank::NONE;
        gst::Element::register(None, Pipeline::TO_SDR, rank, ToSdr::static_type()).is_ok()
    });
    if *done {
        Ok(())
    } else {
        Err(internal("the filter for plain screens is not taken"))
    }
}

/// State behind [`ToSdr`].
#[derive(Default)]
pub(super) struct Filter {
    grid: Mutex<Option<Grid>>,
}

#[glib::object_subclass]
impl ObjectSubclass for Filter {
    const NAME: &'static str = "ReelmeshToSdr";
    type Type = ToSdr;
    type ParentType = gst_video::VideoFilter;
}

impl ObjectImpl for Filter {}
impl GstObjectImpl for Filter {}

impl ElementImpl for Filter {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "To SDR",
                "Filter/Converter/Video",
                "Fits pictures of a high dynamic range or of wide colours to BT.709",
                "Reelmesh",
            )
        });
        Some(&METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
            let caps = |format| gst_video::VideoCapsBuilder::new().format(format).build();
            let pads = [
                (
                    "sink",
                    gst::PadDirection::Sink,
                    gst_video::VideoFormat::I42010le,
                ),
                ("src", gst::PadDirection::Src, gst_video::VideoFormat::I420),
            ];
            pads.into_iter()
                .filter_map(|(name, direction, format)| {
                    let presence = gst::PadPresence::Always;
                    gst::PadTemplate::new(name, direction, presence, &caps(format)).ok()
                })
                .collect()
        });
        &TEMPLATES
    }
}

impl BaseTransformImpl for Filter {
    const MODE: BaseTransformMode = BaseTransformMode::NeverInPlace;
    const PASSTHROUGH_ON_SAME_CAPS: bool = false;
    const TRANSFORM_IP_ON_PASSTHROUGH: bool = false;

    fn transform_caps(
        &self,
        direction: gst::PadDirection,
        caps: &gst::Caps,
        filter: Option<&gst::Caps>,
    ) -> Option<gst::Caps> {
        let mut other = gst::Caps::new_empty();
        let known = other.make_mut();
        for structure in caps.iter() {
            let mut structure = structure.to_owned();
            // Facts about the light of the source, and what only its encoder needed to know.
            for gone in [
                "colorimetry",
                "mastering-display-info",
                "content-light-level",
                "chroma-site",
            ] {
                structure.remove_field(gone);
            }
            if direction == gst::PadDirection::Sink {
                structure.set("format", "I420");
                structure.set("colorimetry", "bt709");
            } else {
                structure.set("format", "I420_10LE");
            }
            known.append_structure(structure);
        }
        Some(match filter {
            Some(filter) => filter.intersect_with_mode(&other, gst::CapsIntersectMode::First),
            None => other,
        })
    }
}

impl VideoFilterImpl for Filter {
    fn set_info(
        &self,
        incaps: &gst::Caps,
        in_info: &gst_video::VideoInfo,
        _outcaps: &gst::Caps,
        _out_info: &gst_video::VideoInfo,
    ) -> Result<(), gst::LoggableError> {
        let grid = Grid::new(source(incaps, in_info));
        *self.grid.lock().unwrap_or_else(PoisonError::into_inner) = Some(grid);
        Ok(())
    }

    fn transform_frame(
        &self,
        from: &gst_video::VideoFrameRef<&gst::BufferRef>,
        to: &mut gst_video::VideoFrameRef<&mut gst::BufferRef>,
    ) -> Result<gst::FlowSuccess, gst::FlowError> {
        let grid = self.grid.lock().unwrap_or_else(PoisonError::into_inner);
        let grid = grid.as_ref().ok_or(gst::FlowError::NotNegotiated)?;
        convert(grid, from, to).ok_or(gst::FlowError::Error)?;
        Ok(gst::FlowSuccess::Ok)
    }
}

/// What the caps say of the light; what they leave out is as it usually is.
fn source(caps: &gst::Caps, info: &gst_video::VideoInfo) -> Source {
    use gst_video::{VideoColorMatrix, VideoColorRange, VideoTransferFunction};
    let colour = info.colorimetry();
    Source {
        transfer: match colour.transfer() {
            VideoTransferFunction::Smpte2084 => Transfer::Pq,
            VideoTransferFunction::AribStdB67 => Transfer::Hlg,
            _ => Transfer::Plain,
        },
        matrix: match colour.matrix() {
            VideoColorMatrix::Bt709 => Matrix::Bt709,
            VideoColorMatrix::Bt601 => Matrix::Bt601,
            _ => Matrix::Bt2020,
        },
        full_range: colour.range() == VideoColorRange::Range0_255,
        peak: peak(caps),
    }
}

/// The brightest light: of the content, else of the screen that it was graded on.
fn peak(caps: &gst::Caps) -> f32 {
    let content = gst_video::VideoContentLightLevel::try_from(&**caps)
        .map(|level| u32::from(level.max_content_light_level()));
    let screen = gst_video::VideoMasteringDisplayInfo::try_from(&**caps)
        .map(|info| info.max_display_mastering_luminance() / 10_000);
    // Some encoders write nothing or nonsense there.
    let sane = |nits: &u32| (400..=10_000).contains(nits);
    let nits = content.into_iter().chain(screen).find(sane);
    nits.and_then(|nits| u16::try_from(nits).ok())
        .map_or(curve::USUAL_PEAK, f32::from)
}

/// The lines of a plane, each with `width` samples of `bytes` bytes.
fn lines<'a>(
    frame: &'a gst_video::VideoFrameRef<&gst::BufferRef>,
    plane: u32,
) -> Option<impl Fn(usize) -> Option<&'a [u8]>> {
    let data = frame.plane_data(plane).ok()?;
    let stride = usize::try_from(*frame.plane_stride().get(plane as usize)?).ok()?;
    Some(move |line: usize| data.get(line * stride..))
}

/// `None` if the frames do not have the shape that their caps say.
fn convert(
    grid: &Grid,
    from: &gst_video::VideoFrameRef<&gst::BufferRef>,
    to: &mut gst_video::VideoFrameRef<&mut gst::BufferRef>,
) -> Option<()> {
    let size = |side: u32| usize::try_from(side).ok();
    let (width, height) = (size(from.width())?, size(from.height())?);
    let (y_in, cb_in, cr_in) = (lines(from, 0)?, lines(from, 1)?, lines(from, 2)?);
    let stride = |plane: usize| usize::try_from(*to.plane_stride().get(plane)?).ok();
    let (y_stride, cb_stride, cr_stride) = (stride(0)?, stride(1)?, stride(2)?);
    let [y_out, cb_out, cr_out, _] = to.planes_data_mut();
    let columns = width.div_ceil(2);
    for row in 0..height.div_ceil(2) {
        let line = (row * 2, (row * 2 + 1).min(height - 1));
        let y = (
            y_in(line.0)?.get(..width * 2)?,
            y_in(line.1)?.get(..width * 2)?,
        );
        let cb = cb_in(row)?.get(..columns * 2)?;
        let cr = cr_in(row)?.get(..columns * 2)?;
        let (upper, lower) = y_out.split_at_mut_checked(line.1 * y_stride)?;
        let (first, second) = if line.0 == line.1 {
            (lower.get_mut(..width)?, None)
        } else {
            let upper = upper.get_mut(line.0 * y_stride..)?;
            (upper.get_mut(..width)?, Some(lower.get_mut(..width)?))
        };
        let b_out = cb_out.get_mut(row * cb_stride..)?.get_mut(..columns)?;
        let r_out = cr_out.get_mut(row * cr_stride..)?.get_mut(..columns)?;
        block_row(grid, y, (cb, cr), (first, second), (b_out, r_out));
    }
    Some(())
}

/// One line of colour differences and the two lines of brightness that belong to it.
fn block_row(
    grid: &Grid,
    (upper, lower): (&[u8], &[u8]),
    (cb, cr): (&[u8], &[u8]),
    (first, second): (&mut [u8], Option<&mut [u8]>),
    (b_out, r_out): (&mut [u8], &mut [u8]),
) {
    let word = |bytes: &[u8]| match bytes {
        [low, high] => u16::from_le_bytes([*low, *high]),
        _ => 0,
    };
    let mut spare = [0; 2];
    let mut second = second;
    let pairs = upper.chunks(4).zip(lower.chunks(4));
    let colours = cb.chunks_exact(2).zip(cr.chunks_exact(2));
    let outs = b_out.iter_mut().zip(r_out).zip(first.chunks_mut(2));
    for (index, (((upper, lower), (cb, cr)), ((b, r), first))) in
        pairs.zip(colours).zip(outs).enumerate()
    {
        let around = grid.around(word(cb), word(cr));
        let second = match &mut second {
            Some(line) => line.get_mut(index * 2..).unwrap_or_default(),
            None => spare.as_mut_slice(),
        };
        let mut sum = 0;
        let mut count = 0;
        for (pixels, out) in [(upper, first), (lower, second)] {
            for (pixel, out) in pixels.chunks_exact(2).zip(out) {
                let y = word(pixel);
                *out = around.luma(y);
                sum += y;
                count += 1;
            }
        }
        (*b, *r) = around.chroma(sum / count.max(1));
    }
}
