//! Pure: CMAF tracks (ISO/IEC 23000-19): samples in, bytes of init segments and fragments out.
//!
//! Boxes are those of ISO/IEC 14496-12. Composition offsets are signed (`trun` version 1, 8.8.8),
//! so that the first picture is presented at exactly 0 although B-pictures are reordered.

#![deny(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::iter_over_hash_type
)]

use mp4_atom::{
    Atom, Audio, Avc1, Avcc, Codec, Colr, Compressor, Dinf, Dref, DrefEntry, Encode, FourCC, Ftyp,
    Hdlr, Mdhd, Mdia, Mfhd, Minf, Moof, Moov, Mp4a, Mvex, Mvhd, Pasp, Smhd, Stbl, Stco, Stsd, Styp,
    Tfdt, Tfhd, Tkhd, Traf, Trak, Trex, Trun, TrunEntry, Url, Visual, Vmhd, esds,
};
use protocol::media::Resolution;

/// Why samples cannot become a track.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the avcC record cannot be carried unchanged")]
    AvcConfig,
    #[error("a picture of {0} does not fit in a sample entry")]
    Resolution(Resolution),
    #[error("two pictures are presented at tick {0}")]
    SameTime(u64),
    #[error("a fragment does not fit in 32 bits")]
    TooLarge,
    #[error("a box cannot be written: {0}")]
    Box(#[from] mp4_atom::Error),
}

/// Colour as ISO/IEC 23091-2 numbers it; limited range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Colour {
    pub primaries: u16,
    pub transfer: u16,
    pub matrix: u16,
}

/// What a track carries.
#[derive(Debug, Clone, Copy)]
pub enum Media<'a> {
    Video {
        resolution: Resolution,
        /// `AVCDecoderConfigurationRecord` (ISO/IEC 14496-15, 5.3.3.1) as the encoder gave it.
        avcc: &'a [u8],
        colour: Colour,
    },
    Audio {
        channels: u16,
        sample_rate: u16,
        /// `AudioSpecificConfig` (ISO/IEC 14496-3, 1.6.2.1).
        config: &'a [u8],
        kbps: u32,
        /// ISO 639-2/T, three letters.
        language: &'a str,
    },
}

/// One coded picture or sound frame, in coding order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    pub data: Vec<u8>,
    /// When it is presented, in ticks.
    pub pts: u64,
    /// An IDR picture, or any sound frame.
    pub sync: bool,
}

/// `avc1.PPCCLL` (RFC 6381, 3.3) of an avcC record.
pub fn avc_codec(avcc: &[u8]) -> Option<String> {
    let [_, profile, constraints, level, ..] = avcc else {
        return None;
    };
    Some(format!("avc1.{profile:02x}{constraints:02x}{level:02x}"))
}

/// `ftyp` and `moov` of a fragmented track with `timescale` ticks a second.
pub fn init_segment(timescale: u32, media: &Media<'_>) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::with_capacity(1024);
    Ftyp {
        major_brand: FourCC::new(b"iso6"),
        minor_version: 0,
        compatible_brands: vec![FourCC::new(b"iso6"), FourCC::new(b"cmfc")],
    }
    .encode(&mut bytes)?;
    Moov {
        mvhd: Mvhd {
            timescale,
            rate: 1.into(),
            volume: 1.into(),
            next_track_id: 2,
            ..Mvhd::default()
        },
        mvex: Some(Mvex {
            mehd: None,
            trex: vec![Trex {
                track_id: 1,
                default_sample_description_index: 1,
                ..Trex::default()
            }],
        }),
        trak: vec![track(timescale, media)?],
        ..Moov::default()
    }
    .encode(&mut bytes)?;
    Ok(bytes)
}

fn track(timescale: u32, media: &Media<'_>) -> Result<Trak, Error> {
    let (handler, language, codec) = match *media {
        Media::Video {
            resolution,
            avcc,
            colour,
        } => (b"vide", "und", video_entry(resolution, avcc, colour)?),
        Media::Audio {
            channels,
            sample_rate,
            config,
            kbps,
            language,
        } => (
            b"soun",
            language,
            audio_entry(channels, sample_rate, config, kbps),
        ),
    };
    let mut tkhd = Tkhd {
        track_id: 1,
        enabled: true,
        in_movie: true,
        ..Tkhd::default()
    };
    let mut minf = Minf {
        dinf: Dinf {
            dref: Dref {
                entries: vec![DrefEntry::Url(Url::default())],
            },
        },
        stbl: Stbl {
            stsd: Stsd {
                codecs: vec![codec],
            },
            // Samples are in the fragments; the tables are there and empty.
            stco: Some(Stco::default()),
            ..Stbl::default()
        },
        ..Minf::default()
    };
    match media {
        Media::Video { resolution, .. } => {
            let (width, height) = sides(*resolution)?;
            tkhd.width = width.into();
            tkhd.height = height.into();
            minf.vmhd = Some(Vmhd::default());
        }
        Media::Audio { .. } => {
            tkhd.volume = 1.into();
            minf.smhd = Some(Smhd::default());
        }
    }
    Ok(Trak {
        tkhd,
        mdia: Mdia {
            mdhd: Mdhd {
                timescale,
                language: language.to_owned(),
                ..Mdhd::default()
            },
            hdlr: Hdlr {
                handler: FourCC::new(handler),
                name: "reelmesh".to_owned(),
            },
            minf,
        },
        ..Trak::default()
    })
}

fn sides(resolution: Resolution) -> Result<(u16, u16), Error> {
    let side = |side: u32| u16::try_from(side).map_err(|_| Error::Resolution(resolution));
    Ok((side(resolution.width)?, side(resolution.height)?))
}

fn video_entry(resolution: Resolution, record: &[u8], colour: Colour) -> Result<Codec, Error> {
    let (width, height) = sides(resolution)?;
    let avcc = Avcc::decode_body(&mut &*record)?;
    // Parameter sets must reach the player to the byte; what does not come back equal is refused.
    let mut again = Vec::with_capacity(record.len());
    avcc.encode_body(&mut again)?;
    if again != record {
        return Err(Error::AvcConfig);
    }
    Ok(Codec::Avc1(Avc1 {
        visual: Visual {
            data_reference_index: 1,
            width,
            height,
            compressor: Compressor::from(""),
            ..Visual::default()
        },
        avcc,
        colr: Some(Colr::new(
            colour.primaries,
            colour.transfer,
            colour.matrix,
            false,
        )?),
        pasp: Some(Pasp::new(1, 1)?),
        ..Avc1::default()
    }))
}

fn audio_entry(channels: u16, sample_rate: u16, config: &[u8], kbps: u32) -> Codec {
    let bits = kbps.saturating_mul(1000);
    Codec::Mp4a(Mp4a {
        audio: Audio {
            data_reference_index: 1,
            channel_count: channels,
            sample_size: 16,
            sample_rate: sample_rate.into(),
        },
        esds: esds::Esds {
            es_desc: esds::EsDescriptor {
                es_id: 1,
                dec_config: esds::DecoderConfig {
                    // ISO/IEC 14496-1, tables 5 and 6: audio to ISO/IEC 14496-3; an audio stream.
                    object_type_indication: 0x40,
                    stream_type: 5,
                    max_bitrate: bits,
                    avg_bitrate: bits,
                    dec_specific: Some(esds::DecoderSpecific {
                        raw: config.to_vec(),
                        ..esds::DecoderSpecific::default()
                    }),
                    ..esds::DecoderConfig::default()
                },
                ..esds::EsDescriptor::default()
            },
        },
        btrt: None,
        taic: None,
    })
}

/// The `styp` that a segment file starts with (ISO/IEC 14496-12, 8.16.2).
pub fn segment_start() -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    Styp {
        major_brand: FourCC::new(b"msdh"),
        minor_version: 0,
        compatible_brands: vec![
            FourCC::new(b"msdh"),
            FourCC::new(b"cmfs"),
            FourCC::new(b"cmfc"),
        ],
    }
    .encode(&mut bytes)?;
    Ok(bytes)
}

/// Appends one fragment, `moof` and `mdat`: a run of samples that no other run presents between.
///
/// Decoding starts at the earliest presentation of the run, and each sample lasts until the next
/// is presented, up to `end`: decode times are the sorted presentation times, so that runs join
/// without a gap at any frame rate. Returns the duration of the run in ticks.
pub fn append_fragment(
    bytes: &mut Vec<u8>,
    sequence: u32,
    samples: &[Sample],
    end: u64,
) -> Result<u64, Error> {
    let timings = timings(samples, end)?;
    let start = timings.first().map_or(end, |timing| timing.dts);
    let entries: Vec<TrunEntry> = samples
        .iter()
        .zip(&timings)
        .map(|(sample, timing)| {
            Ok(TrunEntry {
                duration: Some(timing.duration),
                size: Some(u32::try_from(sample.data.len()).map_err(|_| Error::TooLarge)?),
                // 8.8.3.1: depends on no other sample; or depends on others and is no sync sample.
                flags: Some(if sample.sync {
                    0x0200_0000
                } else {
                    0x0101_0000
                }),
                cts: Some(timing.offset),
            })
        })
        .collect::<Result<_, Error>>()?;
    let mut moof = Moof {
        mfhd: Mfhd {
            sequence_number: sequence,
        },
        traf: vec![Traf {
            tfhd: Tfhd {
                track_id: 1,
                default_base_is_moof: true,
                ..Tfhd::default()
            },
            tfdt: Some(Tfdt {
                base_media_decode_time: start,
            }),
            trun: vec![Trun {
                data_offset: Some(0),
                samples: entries.into(),
            }],
            ..Traf::default()
        }],
    };
    // The offset to the data depends on the size of the box that holds it, but not the other way.
    let mut boxed = Vec::with_capacity(128 + samples.len() * 16);
    moof.encode(&mut boxed)?;
    moof.traf[0].trun[0].data_offset =
        Some(i32::try_from(boxed.len() + 8).map_err(|_| Error::TooLarge)?);
    moof.encode(bytes)?;
    let size: usize = samples.iter().map(|sample| sample.data.len()).sum();
    let size = u32::try_from(size + 8).map_err(|_| Error::TooLarge)?;
    bytes.extend_from_slice(&size.to_be_bytes());
    bytes.extend_from_slice(b"mdat");
    for sample in samples {
        bytes.extend_from_slice(&sample.data);
    }
    Ok(end.saturating_sub(start))
}

struct Timing {
    dts: u64,
    duration: u32,
    offset: i64,
}

fn timings(samples: &[Sample], end: u64) -> Result<Vec<Timing>, Error> {
    let mut times: Vec<u64> = samples.iter().map(|sample| sample.pts).collect();
    times.sort_unstable();
    let ends = times.iter().skip(1).chain(std::iter::once(&end));
    samples
        .iter()
        .zip(times.iter().zip(ends))
        .map(|(sample, (&dts, &next))| {
            if next <= dts {
                return Err(Error::SameTime(dts));
            }
            Ok(Timing {
                dts,
                duration: u32::try_from(next - dts).map_err(|_| Error::TooLarge)?,
                offset: i64::try_from(sample.pts).map_err(|_| Error::TooLarge)?
                    - i64::try_from(dts).map_err(|_| Error::TooLarge)?,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use mp4_atom::{Any, DecodeMaybe};

    const AVCC: [u8; 37] = [
        1, 0x64, 0, 0x0d, 0xff, 0xe1, 0, 20, 0x67, 0x64, 0, 0x0d, 0xac, 0xd9, 0x41, 0x41, 0xfa,
        0x10, 0, 0, 3, 0, 0x10, 0, 0, 3, 3, 0x20, 1, 0, 2, 0x68, 0xeb, 0xfd, 0xf8, 0xf8, 0,
    ];

    fn boxes(mut bytes: &[u8]) -> Vec<Any> {
        let mut boxes = Vec::new();
        while let Some(any) = Any::decode_maybe(&mut bytes).expect("whole boxes") {
            boxes.push(any);
        }
        boxes
    }

    fn sample(pts: u64, len: usize) -> Sample {
        Sample {
            data: vec![7; len],
            pts,
            sync: pts.is_multiple_of(4000),
        }
    }

    #[test]
    fn a_video_init_segment_reads_back() {
        let media = Media::Video {
            resolution: Resolution {
                width: 640,
                height: 360,
            },
            avcc: &AVCC,
            colour: Colour {
                primaries: 1,
                transfer: 1,
                matrix: 1,
            },
        };
        let bytes = init_segment(30_000, &media).expect("valid");
        let boxes = boxes(&bytes);
        let [Any::Ftyp(ftyp), Any::Moov(moov)] = boxes.as_slice() else {
            panic!("ftyp and moov expected");
        };
        assert!(ftyp.compatible_brands.contains(&FourCC::new(b"cmfc")));
        assert_eq!(moov.trak[0].mdia.mdhd.timescale, 30_000);
        let Codec::Avc1(entry) = &moov.trak[0].mdia.minf.stbl.stsd.codecs[0] else {
            panic!("avc1 expected");
        };
        assert_eq!((entry.visual.width, entry.visual.height), (640, 360));
        assert_eq!(
            entry.pasp,
            Some(Pasp {
                h_spacing: 1,
                v_spacing: 1
            })
        );
        assert!(
            bytes.windows(AVCC.len()).any(|window| window == AVCC),
            "the encoder's record stands in the file as it was"
        );
        assert_eq!(avc_codec(&AVCC).as_deref(), Some("avc1.64000d"));
    }

    #[test]
    fn an_audio_init_segment_reads_back() {
        let media = Media::Audio {
            channels: 2,
            sample_rate: 48_000,
            config: &[0x11, 0x90],
            kbps: 128,
            language: "deu",
        };
        let bytes = init_segment(48_000, &media).expect("valid");
        let boxes = boxes(&bytes);
        let [_, Any::Moov(moov)] = boxes.as_slice() else {
            panic!("ftyp and moov expected");
        };
        assert_eq!(moov.trak[0].mdia.mdhd.language, "deu");
        let Codec::Mp4a(entry) = &moov.trak[0].mdia.minf.stbl.stsd.codecs[0] else {
            panic!("mp4a expected");
        };
        assert_eq!(entry.audio.sample_rate.integer(), 48_000);
        let config = entry.esds.es_desc.dec_config.dec_specific.as_ref();
        assert_eq!(config.map(|c| (c.profile, c.freq_index)), Some((2, 3)));
    }

    #[test]
    fn fragments_start_at_their_first_picture_and_join() {
        // Coding order I P B B, presentation order I B B P, then a second run.
        let first = [
            sample(0, 9),
            sample(3000, 5),
            sample(1000, 3),
            sample(2000, 2),
        ];
        let second = [sample(4000, 8), sample(5000, 4)];
        let mut bytes = segment_start().expect("valid");
        assert_eq!(
            append_fragment(&mut bytes, 1, &first, 4000).expect("valid"),
            4000
        );
        let len = bytes.len();
        assert_eq!(
            append_fragment(&mut bytes, 2, &second, 6000).expect("valid"),
            2000
        );
        let parsed = boxes(&bytes);
        let [
            Any::Styp(_),
            Any::Moof(moof),
            Any::Mdat(mdat),
            Any::Moof(next),
            Any::Mdat(_),
        ] = parsed.as_slice()
        else {
            panic!("styp and two fragments expected");
        };
        assert_eq!(mdat.data.len(), 19);
        let runs: Vec<_> = moof.traf[0].trun[0]
            .samples
            .iter()
            .map(|entry| (entry.duration, entry.cts))
            .collect();
        let run = |cts| (Some(1000), Some(cts));
        assert_eq!(runs, [run(0), run(2000), run(-1000), run(-1000)]);
        let tfdt = |moof: &Moof| moof.traf[0].tfdt.as_ref().map(|t| t.base_media_decode_time);
        assert_eq!((tfdt(moof), tfdt(next)), (Some(0), Some(4000)));
        // The data offset counts from the first byte of its own moof (8.8.7.1).
        let offset = next.traf[0].trun[0].data_offset.expect("written");
        let start = len + usize::try_from(offset).expect("positive");
        assert_eq!(&bytes[start..start + 12], [7; 12]);
        assert_eq!(bytes.len(), start + 12);
    }

    #[test]
    fn two_pictures_at_one_time_are_refused() {
        let mut bytes = Vec::new();
        let samples = [sample(0, 1), sample(0, 1)];
        assert!(matches!(
            append_fragment(&mut bytes, 1, &samples, 4000),
            Err(Error::SameTime(0))
        ));
    }
}
