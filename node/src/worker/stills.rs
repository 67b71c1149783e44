//! Makes poster images from one picture that shows something.

use gst::prelude::*;
use gst_video::prelude::*;
use protocol::failure::{Failure, FailureClass};
use protocol::manifest::{Manifest, Still};
use protocol::media::Resolution;
use protocol::worker::{Pipeline, StillsTask};

use super::output::Output;
use super::pipeline::{Running, Wanted, internal};

/// Where a picture is looked for, in thousandths of the length; the first that shows something wins.
const PLACES: [u64; 6] = [100, 200, 350, 500, 700, 50];
/// Pictures that are looked at where a file cannot be searched: ten seconds.
const STEPS: usize = 250;
/// Every poster comes as each of these: the second is smaller, the first is shown everywhere.
/// Above these qualities files grow faster than pictures improve.
const FORMATS: [Format; 2] = [Format::Jpeg(82), Format::WebP(78)];
const WAIT: gst::ClockTime = gst::ClockTime::from_seconds(20);

/// How an image is written, with a quality of 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Jpeg(u32),
    WebP(u32),
}

impl Format {
    const fn extension(self) -> &'static str {
        match self {
            Self::Jpeg(_) => "jpg",
            Self::WebP(_) => "webp",
        }
    }

    /// Colours and encoder. JFIF knows one colour space: full range, BT.601. WebP has its range
    /// limited (RFC 9649, 2.5), in the same colours.
    fn element(self) -> String {
        match self {
            Self::Jpeg(quality) => {
                format!("video/x-raw,format=I420,colorimetry=1:4:7:1 ! jpegenc quality={quality}")
            }
            Self::WebP(quality) => format!(
                "video/x-raw,format=I420,colorimetry=2:4:7:1 ! webpenc quality={quality} speed=2"
            ),
        }
    }
}

/// Renders `task` from `input` into `output` and reports images done.
pub(super) fn run(
    task: &StillsTask,
    input: &str,
    output: &Output,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Manifest, Failure> {
    let picture = choose(task, input)?;
    let size = task.probe.video.display.even();
    let total = (task.widths.len() * FORMATS.len()) as u64;
    let mut stills = Vec::new();
    for &width in &task.widths {
        let resolution = fitted(size, width);
        for format in FORMATS {
            let image = encode(&picture, resolution, format)?;
            let stem = format!("thumb-{width}");
            stills.push(Still {
                resolution,
                width_class: width,
                object: output.write(&stem, format.extension(), &image)?,
            });
            progress(stills.len() as u64, total);
        }
    }
    Ok(Manifest {
        stills,
        ..Manifest::default()
    })
}

/// `size` brought down to `width`, never up, with even sides.
fn fitted(size: Resolution, width: u32) -> Resolution {
    if size.width <= width {
        return size;
    }
    let height = u64::from(size.height) * u64::from(width) / u64::from(size.width.max(1));
    Resolution {
        width,
        height: u32::try_from(height).unwrap_or(u32::MAX),
    }
    .even()
}

/// The first picture that shows something, else the one with the most contrast.
fn choose(task: &StillsTask, input: &str) -> Result<gst::Sample, Failure> {
    let running = Running::open(&task.pipeline, input, Wanted::Video)?;
    let sink = running.sink(0)?;
    // Paused until a picture is there: a seek needs a demuxer that knows its file.
    running.pause()?;
    let mut best: Option<(u64, gst::Sample)> = None;
    let first = preroll(&running, &sink)?;
    // mxfdemux 1.22 now and then aborts the process when it seeks (`find_edit_entry`).
    let mut searchable = task.probe.container != "mxf";
    for place in PLACES.into_iter().filter(|_| searchable) {
        let at = task.probe.video.duration_ns / 1000 * place;
        let flags = gst::SeekFlags::FLUSH | gst::SeekFlags::KEY_UNIT | gst::SeekFlags::SNAP_BEFORE;
        if running
            .seek(flags, gst::ClockTime::from_nseconds(at))
            .is_err()
        {
            searchable = false;
            break;
        }
        // Behind the last key picture of a broken file there may be nothing: look elsewhere.
        let Ok(sample) = preroll(&running, &sink) else {
            continue;
        };
        if consider(&mut best, sample)? {
            break;
        }
    }
    if !searchable {
        running.play()?;
        for _ in 0..STEPS {
            let Some(sample) = sink.try_pull_sample(WAIT) else {
                break;
            };
            if consider(&mut best, sample)? {
                break;
            }
        }
    }
    match (best, first) {
        (Some((_, sample)), _) | (None, sample) => Ok(sample),
    }
}

/// Keeps the better picture; true if it is good enough.
fn consider(best: &mut Option<(u64, gst::Sample)>, sample: gst::Sample) -> Result<bool, Failure> {
    let look = Look::at(&sample)?;
    let shows = look.shows_something();
    if shows
        || best
            .as_ref()
            .is_none_or(|(contrast, _)| look.contrast > *contrast)
    {
        *best = Some((look.contrast, sample));
    }
    Ok(shows)
}

fn preroll(running: &Running, sink: &gst_app::AppSink) -> Result<gst::Sample, Failure> {
    let mut waited = gst::ClockTime::ZERO;
    let step = gst::ClockTime::from_mseconds(100);
    loop {
        if let Some(sample) = sink.try_pull_preroll(step) {
            return Ok(sample);
        }
        waited += step;
        if running.step()? || sink.is_eos() || waited > WAIT {
            return Err(Failure::new(
                FailureClass::Input,
                "no_pictures",
                "Not one picture of the file could be decoded; it may be damaged. Export it again and upload the new file.",
                "",
            ));
        }
    }
}

/// How bright and how varied a picture is, by its luma.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Look {
    mean: u64,
    /// Mean absolute distance from the mean.
    contrast: u64,
}

impl Look {
    fn at(sample: &gst::Sample) -> Result<Self, Failure> {
        let error = || internal("a decoded picture cannot be read");
        let info = sample
            .caps()
            .and_then(|caps| gst_video::VideoInfo::from_caps(caps).ok())
            .ok_or_else(error)?;
        let buffer = sample.buffer().ok_or_else(error)?;
        let frame = gst_video::VideoFrameRef::from_buffer_ref_readable(buffer, &info)
            .map_err(|_| error())?;
        let luma = frame.plane_data(0).map_err(|_| error())?;
        let stride = usize::try_from(frame.plane_stride()[0]).map_err(|_| error())?;
        let width = usize::try_from(frame.width()).unwrap_or(0);
        Ok(Self::of(luma, stride.max(1), width))
    }

    /// Every fourth pixel of every fourth line is enough.
    fn of(luma: &[u8], stride: usize, width: usize) -> Self {
        let pixels = || {
            luma.chunks(stride)
                .step_by(4)
                .flat_map(|line| line.iter().take(width).step_by(4))
                .map(|&pixel| u64::from(pixel))
        };
        let count = (pixels().count() as u64).max(1);
        let mean = pixels().sum::<u64>() / count;
        let contrast = pixels().map(|pixel| pixel.abs_diff(mean)).sum::<u64>() / count;
        Self { mean, contrast }
    }

    /// Black lies at 16, white at 235; titles on black and fades are dim or flat.
    fn shows_something(self) -> bool {
        (32..=225).contains(&self.mean) && self.contrast >= 10
    }
}

/// `picture` as an image of `resolution`.
pub(super) fn encode(
    picture: &gst::Sample,
    resolution: Resolution,
    format: Format,
) -> Result<Vec<u8>, Failure> {
    // Scaled first: there is less to convert then.
    let description = Pipeline {
        text: format!(
            "appsrc name={} format=time ! videoscale method=lanczos add-borders=false ! video/x-raw,width={},height={},pixel-aspect-ratio=1/1 ! videoconvert ! {} ! appsink name={} sync=false async=false",
            Pipeline::SOURCE,
            resolution.width,
            resolution.height,
            format.element(),
            Pipeline::sink(0),
        ),
    };
    let running = Running::build(&description)?;
    let source = running
        .element(Pipeline::SOURCE)?
        .downcast::<gst_app::AppSrc>()
        .map_err(|_| internal("the image encoder takes no picture"))?;
    source.set_caps(picture.caps_owned().as_ref());
    running.play()?;
    let mut buffer = picture
        .buffer_owned()
        .ok_or_else(|| internal("a picture without data"))?;
    let timed = buffer.make_mut();
    timed.set_pts(gst::ClockTime::ZERO);
    timed.set_dts(gst::ClockTime::NONE);
    source
        .push_buffer(buffer)
        .and_then(|_| source.end_of_stream())
        .map_err(|error| internal(&format!("the image encoder stopped: {error}")))?;
    let sink = running.sink(0)?;
    let sample = sink.try_pull_sample(WAIT);
    let Some(buffer) = sample.as_ref().and_then(|sample| sample.buffer()) else {
        running.step()?;
        return Err(internal("the image encoder gave nothing"));
    };
    let image = buffer
        .map_readable()
        .map_err(|error| internal(&error.to_string()))?;
    Ok(image.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn black_grey_and_white_show_nothing() {
        for level in [16, 128, 235] {
            assert!(!Look::of(&[level; 64 * 64], 64, 64).shows_something());
        }
        let varied: Vec<u8> = (0..=199).cycle().take(64 * 64).collect();
        assert!(Look::of(&varied, 64, 64).shows_something());
    }

    #[test]
    fn stills_are_never_wider_than_the_source() {
        let size = |width, height| Resolution { width, height };
        assert_eq!(fitted(size(1920, 1080), 640), size(640, 360));
        assert_eq!(fitted(size(500, 280), 640), size(500, 280));
        assert_eq!(fitted(size(1080, 1920), 320), size(320, 568));
    }
}
