//! The files of a finished unit: written under their hashed names, made durable, then listed.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use protocol::failure::{Failure, FailureClass};
use protocol::id::BlobHash;
use protocol::manifest::{Manifest, Object, Segment, Track, TrackKind};

use super::cmaf::{self, Sample};

/// The output folder of one job.
#[derive(Debug, Clone)]
pub(super) struct Output {
    folder: PathBuf,
}

/// A file while it is written. See [`Output::stream`].
#[derive(Debug)]
pub(super) struct Stream {
    path: PathBuf,
    file: File,
    hasher: blake3::Hasher,
    size_bytes: u64,
}

/// One CMAF track while it is written. Holds the open segment and nothing more.
#[derive(Debug)]
pub(super) struct TrackWriter {
    output: Output,
    name: String,
    timescale: u32,
    init: Option<Object>,
    segments: Vec<Segment>,
    open: Option<Open>,
    /// `mfhd` numbers fragments from 1 (ISO/IEC 14496-12, 8.8.5).
    fragments: u32,
}

#[derive(Debug)]
struct Open {
    number: u64,
    bytes: Vec<u8>,
    duration: u64,
    frames: u32,
}

impl Output {
    pub(super) fn new(folder: &str) -> Self {
        Self {
            folder: PathBuf::from(folder),
        }
    }

    /// Writes `bytes` as `{stem}-{h16}.{extension}`, parts of `stem` joined by `/`.
    pub(super) fn write(
        &self,
        stem: &str,
        extension: &str,
        bytes: &[u8],
    ) -> Result<Object, Failure> {
        let blake3 = BlobHash::of(bytes);
        let name = format!("{stem}-{}.{extension}", blake3.short());
        let path = self.folder.join(&name);
        write_new(&path, bytes).map_err(|error| disk(&path, &error))?;
        Ok(Object {
            name,
            size_bytes: bytes.len() as u64,
            blake3,
        })
    }

    /// A folder in it, for what is not listed in the end.
    pub(super) fn folder(&self, name: &str) -> Result<Self, Failure> {
        let folder = self.folder.join(name);
        fs::create_dir_all(&folder).map_err(|error| disk(&folder, &error))?;
        Ok(Self { folder })
    }

    /// Removes the folder with all that is in it.
    pub(super) fn remove(&self) -> Result<(), Failure> {
        fs::remove_dir_all(&self.folder).map_err(|error| disk(&self.folder, &error))
    }

    /// Where a written file lies.
    pub(super) fn path(&self, object: &Object) -> String {
        let path = self.folder.join(&object.name);
        path.to_string_lossy().into_owned()
    }

    /// A written file that fits into memory.
    pub(super) fn read(&self, object: &Object) -> Result<Vec<u8>, Failure> {
        let path = self.folder.join(&object.name);
        fs::read(&path).map_err(|error| disk(&path, &error))
    }

    /// A file that is too large to be held in memory; it gets its name at the end.
    pub(super) fn stream(&self) -> Result<Stream, Failure> {
        let path = self.folder.join("stream.tmp");
        let file = File::create(&path).map_err(|error| disk(&path, &error))?;
        Ok(Stream {
            path,
            file,
            hasher: blake3::Hasher::new(),
            size_bytes: 0,
        })
    }

    /// Opens a written file for reading.
    pub(super) fn open(&self, object: &Object) -> Result<File, Failure> {
        let path = self.folder.join(&object.name);
        File::open(&path).map_err(|error| disk(&path, &error))
    }

    /// Makes every listed file durable, then the list itself.
    pub(super) fn finish(&self, manifest: &Manifest) -> Result<(), Failure> {
        for object in manifest.objects() {
            let path = self.folder.join(&object.name);
            sync(&path).map_err(|error| disk(&path, &error))?;
        }
        for track in &manifest.tracks {
            let path = self.folder.join(&track.name);
            sync(&path).map_err(|error| disk(&path, &error))?;
        }
        let text = serde_json::to_vec(manifest).map_err(|error| internal(&error.to_string()))?;
        let path = self.folder.join(Manifest::FILE_NAME);
        write_durably(&path, &text)
            .and_then(|()| sync(&self.folder))
            .map_err(|error| disk(&path, &error))
    }
}

impl TrackWriter {
    pub(super) fn new(output: Output, name: String, timescale: u32) -> Self {
        Self {
            output,
            name,
            timescale,
            init: None,
            segments: Vec::new(),
            open: None,
            fragments: 0,
        }
    }

    /// Writes the init segment; before anything else.
    pub(super) fn init(&mut self, media: &cmaf::Media<'_>) -> Result<(), Failure> {
        let bytes = cmaf::init_segment(self.timescale, media).map_err(|error| cmaf(&error))?;
        let stem = format!("{}/init", self.name);
        self.init = Some(self.output.write(&stem, "mp4", &bytes)?);
        Ok(())
    }

    /// Adds a run of samples that ends at tick `end` to segment `number`.
    pub(super) fn fragment(
        &mut self,
        number: u64,
        samples: &[Sample],
        end: u64,
    ) -> Result<(), Failure> {
        if self.open.as_ref().is_some_and(|open| open.number != number) {
            self.close()?;
        }
        self.fragments = self.fragments.wrapping_add(1);
        let open = match &mut self.open {
            Some(open) => open,
            none => none.insert(Open {
                number,
                bytes: cmaf::segment_start().map_err(|error| cmaf(&error))?,
                duration: 0,
                frames: 0,
            }),
        };
        open.duration += cmaf::append_fragment(&mut open.bytes, self.fragments, samples, end)
            .map_err(|error| cmaf(&error))?;
        open.frames += u32::try_from(samples.len()).unwrap_or(u32::MAX);
        Ok(())
    }

    /// Closes the last segment and lists the track.
    pub(super) fn finish(mut self, kind: TrackKind, codec: String) -> Result<Track, Failure> {
        self.close()?;
        let init = self
            .init
            .ok_or_else(|| internal("a track ended before it began"))?;
        Ok(Track {
            name: self.name,
            kind,
            codec,
            timescale: self.timescale,
            init,
            segments: self.segments,
        })
    }

    fn close(&mut self) -> Result<(), Failure> {
        let Some(open) = self.open.take() else {
            return Ok(());
        };
        let stem = format!("{}/{:06}", self.name, open.number);
        let object = self.output.write(&stem, "m4s", &open.bytes)?;
        self.segments.push(Segment {
            object,
            duration: open.duration,
            frames: open.frames,
            keys: Vec::new(),
        });
        Ok(())
    }
}

impl Stream {
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.hasher.update(bytes);
        self.size_bytes += bytes.len() as u64;
        self.file
            .write_all(bytes)
            .map_err(|error| disk(&self.path, &error))
    }

    /// Names the file `{stem}-{h16}.{extension}`.
    pub(super) fn finish(self, stem: &str, extension: &str) -> Result<Object, Failure> {
        let blake3 = BlobHash::from(self.hasher.finalize());
        let name = format!("{stem}-{}.{extension}", blake3.short());
        fs::rename(&self.path, self.path.with_file_name(&name))
            .map_err(|error| disk(&self.path, &error))?;
        Ok(Object {
            name,
            size_bytes: self.size_bytes,
            blake3,
        })
    }
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::write(path, bytes)
}

fn write_durably(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temp = path.with_extension("tmp");
    let mut file = File::create(&temp)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temp, path)
}

/// Works for files and folders alike.
fn sync(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

fn disk(path: &Path, error: &io::Error) -> Failure {
    Failure::new(
        FailureClass::Resource,
        "output_not_written",
        "The node could not write the rendered files; check its disk.",
        format!("{}: {error}", path.display()),
    )
}

fn cmaf(error: &cmaf::Error) -> Failure {
    internal(&error.to_string())
}

fn internal(detail: &str) -> Failure {
    Failure::new(
        FailureClass::Internal,
        "track_not_written",
        "The rendered pictures could not be packaged; this is a mistake in Reelmesh.",
        detail,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_carry_the_hash_and_the_list_matches_the_disk() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let output = Output::new(folder.path().to_str().expect("unicode"));
        let mut writer = TrackWriter::new(output.clone(), "audio".to_owned(), 48_000);
        writer
            .init(&cmaf::Media::Audio {
                channels: 2,
                sample_rate: 48_000,
                config: &[0x11, 0x90],
                kbps: 128,
                language: "und",
            })
            .expect("written");
        let sample = |pts| Sample {
            data: vec![1, 2, 3],
            pts,
            sync: true,
        };
        for (number, pts) in [(0, 0), (0, 1024), (1, 2048)] {
            writer
                .fragment(number, &[sample(pts)], pts + 1024)
                .expect("written");
        }
        let kind = TrackKind::Audio {
            channels: 2,
            sample_rate: 48_000,
            language: None,
        };
        let track = writer
            .finish(kind, "mp4a.40.2".to_owned())
            .expect("written");
        assert_eq!((track.frames(), track.duration()), (3, 3072));
        let manifest = Manifest {
            tracks: vec![track],
            ..Manifest::default()
        };
        output.finish(&manifest).expect("durable");
        for object in manifest.objects() {
            let bytes = fs::read(folder.path().join(&object.name)).expect("there");
            assert_eq!(bytes.len() as u64, object.size_bytes);
            assert_eq!(BlobHash::of(&bytes), object.blake3);
            assert!(object.name.contains(&object.blake3.short()));
        }
        let text = fs::read(folder.path().join(Manifest::FILE_NAME)).expect("there");
        let read: Manifest = serde_json::from_slice(&text).expect("a manifest");
        assert_eq!(read, manifest);
    }
}
