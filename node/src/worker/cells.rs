//! Gathers small pictures of a ladder on sheets.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use gst::prelude::*;
use gst_video::prelude::*;
use protocol::failure::Failure;
use protocol::manifest::{Cell, Sheet};
use protocol::media::{FrameRange, FrameRate, Resolution};
use protocol::worker::{Cells, Pipeline};

use super::output::Output;
use super::pipeline::{Fault, Running, internal, sample_time};
use super::stills;

/// Small pictures side by side at most, and on one sheet: the longest piece of work is in memory
/// at 3 MB, and a player that wants one picture fetches no more than it needs.
const COLUMNS_MAX: usize = 10;
const SHEET_CELLS_MAX: usize = 100;
/// Of 100; they are small and seen for a moment.
const JPEG_QUALITY: u32 = 75;

/// The small pictures of one run of frames while they are taken.
pub(super) struct Taking {
    cells: Cells,
    output: Output,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Numbers of the frames that were let through and have not arrived yet.
    coming: Vec<u64>,
    /// Packed I420, without padding.
    pictures: Vec<(Cell, Vec<u8>)>,
    sheets: Vec<Sheet>,
}

impl Taking {
    /// Sets up the branch of `running` that ends in sink `index`; `frames` arrive there at `rate`,
    /// or one by one at their own times if it is `variable`.
    pub(super) fn begin(
        running: &Running,
        index: usize,
        cells: Cells,
        (frames, rate, variable): (FrameRange, FrameRate, bool),
        output: &Output,
    ) -> Result<Arc<Self>, Failure> {
        let taking = Arc::new(Self {
            cells,
            output: output.clone(),
            state: Mutex::default(),
        });
        let filter = running
            .element(Pipeline::CELLS)?
            .static_pad("src")
            .ok_or_else(|| internal("the filter of small pictures has no way out"))?;
        let every = u64::from(cells.every_frames.max(1));
        let seen = AtomicU64::new(0);
        let chooser = Arc::clone(&taking);
        filter.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
            let counted = frames.start + seen.fetch_add(1, Ordering::Relaxed);
            let pts = info.buffer().and_then(|buffer| buffer.pts());
            let frame = match pts {
                Some(pts) if !variable => rate.ns_to_frame(pts.nseconds()),
                _ => counted,
            };
            if frame.is_multiple_of(every) {
                chooser.lock().coming.push(frame);
                gst::PadProbeReturn::Ok
            } else {
                // Not `Drop`; see `gate::install`.
                gst::PadProbeReturn::Handled
            }
        });
        taking.attach(&running.sink(index)?, running.fault());
        Ok(taking)
    }

    fn attach(self: &Arc<Self>, sink: &gst_app::AppSink, fault: Fault) {
        let taking = Arc::clone(self);
        let callbacks = gst_app::AppSinkCallbacks::builder()
            .new_sample(move |sink| {
                let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
                taking.take(&sample).map_err(|failure| fault.set(failure))?;
                Ok(gst::FlowSuccess::Ok)
            })
            .build();
        sink.set_callbacks(callbacks);
    }

    fn take(&self, sample: &gst::Sample) -> Result<(), Failure> {
        let picture = packed(sample, self.cells.size)?;
        let at_ns = sample_time(sample)
            .and_then(|ns| u64::try_from(ns).ok())
            .ok_or_else(|| internal("a small picture without a time"))?;
        let mut state = self.lock();
        if state.coming.is_empty() {
            return Err(internal("a small picture that was not asked for"));
        }
        let frame = state.coming.remove(0);
        state.pictures.push((Cell { frame, at_ns }, picture));
        if state.pictures.len() == SHEET_CELLS_MAX {
            self.close(&mut state)?;
        }
        Ok(())
    }

    /// Writes the last sheet and lists all of them.
    pub(super) fn finish(&self) -> Result<Vec<Sheet>, Failure> {
        let mut state = self.lock();
        self.close(&mut state)?;
        Ok(std::mem::take(&mut state.sheets))
    }

    fn close(&self, state: &mut State) -> Result<(), Failure> {
        let pictures = std::mem::take(&mut state.pictures);
        let Some((first, _)) = pictures.first() else {
            return Ok(());
        };
        let stem = format!("sprites/{:08}", first.frame);
        let columns = columns(pictures.len());
        let image = laid_out(&pictures, self.cells.size, columns);
        let rows = pictures.len().div_ceil(columns);
        let narrow = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
        let size = Resolution {
            width: self.cells.size.width * narrow(columns),
            height: self.cells.size.height * narrow(rows),
        };
        let sample = sample_of(&image, size)?;
        let jpeg = stills::encode(&sample, size, stills::Format::Jpeg(JPEG_QUALITY))?;
        state.sheets.push(Sheet {
            object: self.output.write(&stem, "jpg", &jpeg)?,
            cell: self.cells.size,
            columns: narrow(columns),
            cells: pictures.iter().map(|(cell, _)| *cell).collect(),
        });
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// As few rows as [`COLUMNS_MAX`] allows, and no more columns than those need.
fn columns(count: usize) -> usize {
    let rows = count.div_ceil(COLUMNS_MAX).max(1);
    count.div_ceil(rows).max(1)
}

/// The planes of I420 without padding, as (width, height).
fn planes(size: Resolution) -> [(usize, usize); 3] {
    let side = |side: u32| usize::try_from(side).unwrap_or(0);
    let (width, height) = (side(size.width), side(size.height));
    let chroma = (width.div_ceil(2), height.div_ceil(2));
    [(width, height), chroma, chroma]
}

/// The pixels of `sample` plane after plane, without padding.
fn packed(sample: &gst::Sample, size: Resolution) -> Result<Vec<u8>, Failure> {
    let error = || internal("a small picture cannot be read");
    let info = sample
        .caps()
        .and_then(|caps| gst_video::VideoInfo::from_caps(caps).ok())
        .ok_or_else(error)?;
    let buffer = sample.buffer().ok_or_else(error)?;
    let frame =
        gst_video::VideoFrameRef::from_buffer_ref_readable(buffer, &info).map_err(|_| error())?;
    if (frame.width(), frame.height()) != (size.width, size.height) {
        return Err(internal("a small picture of another size"));
    }
    let mut pixels = Vec::new();
    for ((plane, (width, height)), stride) in (0..).zip(planes(size)).zip(frame.plane_stride()) {
        let data = frame.plane_data(plane).map_err(|_| error())?;
        let stride = usize::try_from(*stride).unwrap_or(0).max(1);
        for line in data.chunks(stride).take(height) {
            pixels.extend_from_slice(line.get(..width).ok_or_else(error)?);
        }
    }
    Ok(pixels)
}

/// The packed pixels of a sheet of full rows, black where there is no picture.
fn laid_out(pictures: &[(Cell, Vec<u8>)], size: Resolution, columns: usize) -> Vec<u8> {
    let rows = pictures.len().div_ceil(columns);
    let mut sheet = Vec::new();
    let mut offset = 0;
    // Full range: black is 0, and no colour 128.
    for ((width, height), black) in planes(size).into_iter().zip([0, 128, 128]) {
        let start = sheet.len();
        let wide = width * columns;
        sheet.resize(start + wide * height * rows, black);
        for (index, (_, picture)) in pictures.iter().enumerate() {
            let (column, row) = (index % columns, index / columns);
            let source = picture[offset..].chunks(width).take(height);
            for (line, pixels) in source.enumerate() {
                let at = start + (row * height + line) * wide + column * width;
                sheet[at..at + width].copy_from_slice(pixels);
            }
        }
        offset += width * height;
    }
    sheet
}

/// A sample of packed pixels, as GStreamer wants them: lines padded to four bytes.
fn sample_of(pixels: &[u8], size: Resolution) -> Result<gst::Sample, Failure> {
    let info = gst_video::VideoInfo::builder(gst_video::VideoFormat::I420, size.width, size.height)
        .fps(gst::Fraction::new(1, 1))
        .colorimetry(
            &"1:4:7:1"
                .parse()
                .map_err(|_| internal("the colours of JFIF"))?,
        )
        .build()
        .map_err(|error| internal(&error.to_string()))?;
    let caps = info
        .to_caps()
        .map_err(|error| internal(&error.to_string()))?;
    let mut buffer =
        gst::Buffer::with_size(info.size()).map_err(|error| internal(&error.to_string()))?;
    {
        let buffer = buffer.make_mut();
        let mut frame = gst_video::VideoFrameRef::from_buffer_ref_writable(buffer, &info)
            .map_err(|error| internal(&error.to_string()))?;
        let mut rest = pixels;
        for (plane, (width, height)) in (0..).zip(planes(size)) {
            let stride = frame.plane_stride().get(plane as usize).copied();
            let stride = usize::try_from(stride.unwrap_or(0)).unwrap_or(0).max(1);
            let data = frame
                .plane_data_mut(plane)
                .map_err(|error| internal(&error.to_string()))?;
            for line in data.chunks_mut(stride).take(height) {
                let (pixels, after) = rest.split_at(width);
                line[..width].copy_from_slice(pixels);
                rest = after;
            }
        }
    }
    Ok(gst::Sample::builder().buffer(&buffer).caps(&caps).build())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_filled_evenly() {
        let got = [1, 2, 10, 11, 12, 25, 100].map(columns);
        assert_eq!(got, [1, 2, 10, 6, 6, 9, 10]);
    }

    #[test]
    fn each_picture_stands_in_its_place() {
        let size = Resolution {
            width: 4,
            height: 2,
        };
        let picture = |value: u8| {
            let cell = Cell { frame: 0, at_ns: 0 };
            (cell, vec![value; 4 * 2 + 2 + 2])
        };
        let sheet = laid_out(&[picture(1), picture(2), picture(3)], size, 2);
        let luma = [
            1, 1, 1, 1, 2, 2, 2, 2, //
            1, 1, 1, 1, 2, 2, 2, 2, //
            3, 3, 3, 3, 0, 0, 0, 0, //
            3, 3, 3, 3, 0, 0, 0, 0,
        ];
        let chroma = [1, 1, 2, 2, 3, 3, 128, 128];
        assert_eq!(sheet, [&luma[..], &chroma, &chroma].concat());
    }
}
