//! Whatever bytes arrive, a decoder answers with a value or an error, and what it took for a value
//! is written the same way again. `PROPTEST_CASES` says how long to look; `make fuzz` looks long.

use bincode::{Decode, Encode};
use proptest::prelude::*;

use crate::access::Secret;
use crate::id::{BlobHash, NodeId, UploadId, VideoId};
use crate::media::FrameRate;
use crate::time::Timestamp;
use crate::timecode::Timecode;
use crate::upload::{
    Answer, ChunkHash, ChunkMap, FileKey, Finish, Layout, Opened, Put, Refused, Request,
};
use crate::{blob, code, codec, frame, join, manifest, raft, upload, vitals};

/// Damage to a record: where, what, and how much of it arrives.
#[derive(Debug, Clone)]
enum Damage {
    Flip { at: usize, bits: u8 },
    Cut { at: usize },
    Insert { at: usize, bytes: Vec<u8> },
    Repeat { at: usize },
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        (any::<usize>(), 1..=255_u8).prop_map(|(at, bits)| Damage::Flip { at, bits }),
        any::<usize>().prop_map(|at| Damage::Cut { at }),
        (any::<usize>(), prop::collection::vec(any::<u8>(), 1..16))
            .prop_map(|(at, bytes)| Damage::Insert { at, bytes }),
        any::<usize>().prop_map(|at| Damage::Repeat { at }),
    ]
}

fn apply(mut bytes: Vec<u8>, damages: &[Damage]) -> Vec<u8> {
    for damage in damages {
        let len = bytes.len();
        if len == 0 {
            return bytes;
        }
        match damage {
            Damage::Flip { at, bits } => bytes[at % len] ^= bits,
            Damage::Cut { at } => bytes.truncate(at % len),
            Damage::Insert { at, bytes: more } => {
                let at = at % len;
                bytes.splice(at..at, more.iter().copied());
            }
            Damage::Repeat { at } => {
                let tail = bytes[at % len..].to_vec();
                bytes.extend(tail);
            }
        }
    }
    bytes
}

/// A record, or bytes that look a little like one.
fn hostile(samples: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        1 => prop::collection::vec(any::<u8>(), 0..300),
        // With the right version the decoder gets further.
        2 => prop::collection::vec(any::<u8>(), 0..300).prop_map(|mut bytes| {
            bytes.insert(0, codec::encode(&0_u8).expect("small")[0]);
            bytes
        }),
        4 => (prop::sample::select(samples), prop::collection::vec(damage(), 1..6))
            .prop_map(|(bytes, damages)| apply(bytes, &damages)),
    ]
}

/// What is taken for a value must be one: written again and read again it is the same.
fn settle<T>(bytes: &[u8])
where
    T: Encode + Decode<()> + PartialEq + std::fmt::Debug,
{
    if let Ok(value) = codec::decode::<T>(bytes) {
        let again = codec::encode(&value).expect("it came from as few bytes");
        let read: T = codec::decode(&again).expect("it was just written");
        assert_eq!(read, value);
    }
}

fn record<T: Encode>(value: &T) -> Vec<u8> {
    codec::encode(value).expect("samples are small")
}

fn samples() -> Vec<Vec<u8>> {
    let upload = UploadId::from_uuid(uuid::Uuid::from_u128(7));
    let video = VideoId::from_uuid(uuid::Uuid::from_u128(8));
    let layout = Layout::new(9_000_000).expect("in range");
    let hash = ChunkHash::of(layout, 0, b"bytes");
    let key = FileKey::new("a.mov", 5, Timestamp::from_millis(3), &hash, &hash);
    let mut have = ChunkMap::new(layout.chunks());
    have.insert(1);
    vec![
        record(&key),
        record(&Request::Put(Put {
            upload,
            index: 3,
            hash,
            length: 4096,
        })),
        record(&Request::Finish(Finish {
            upload,
            hash: BlobHash::of(b"x"),
        })),
        record(&Answer::Opened(Opened {
            upload,
            video,
            chunk_size: upload::CHUNK_SIZE,
            have,
            finished: None,
            expires_at: Timestamp::from_millis(9),
            copies: 1,
        })),
        record(&Answer::Refused(Refused {
            code: code::ErrorCode::NoSpace,
            message: "There is no room. Ünïcode.".to_owned(),
        })),
        record(&Secret::from_bytes([7; 32])),
        record(&join::Request {
            secret: [1; 32],
            name: "edge-2".to_owned(),
            site: "berlin".to_owned(),
            address: "10.0.0.2:7443".to_owned(),
            public_key: vec![4; 65],
            at: Timestamp::from_millis(1),
        }),
        record(&join::Answer::Refused("no".to_owned())),
        record(&vitals::Vitals {
            node: NodeId(1),
            at: Timestamp::from_millis(1),
            cpu_permille: 500,
            memory_total_bytes: 1,
            memory_used_bytes: 1,
            disk_total_bytes: 1,
            disk_free_bytes: 1,
            applied: 7,
            disk_reserve_bytes: 1,
            link_bytes_per_s: 1,
            rest: None,
        }),
    ]
}

proptest! {
    #[test]
    fn records_from_the_wire(bytes in hostile(samples())) {
        settle::<Request>(&bytes);
        settle::<Answer>(&bytes);
        settle::<join::Request>(&bytes);
        settle::<join::Token>(&bytes);
        settle::<blob::Want>(&bytes);
        settle::<raft::Request>(&bytes);
        settle::<vitals::Vitals>(&bytes);
    }

    #[test]
    fn chunk_maps_that_lie_about_their_length(
        bytes in hostile(vec![record(&ChunkMap::new(9))]),
        index in any::<u32>(),
    ) {
        if let Ok(mut map) = codec::decode::<ChunkMap>(&bytes) {
            // A map may say that it has four billion chunks and bring one byte: asking is free.
            let _there = map.contains(index);
            let _taken = map.insert(index);
            let _gone = map.remove(index);
            let _first = map.missing().next();
        }
    }

    #[test]
    fn frames_with_hostile_lengths(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        if let Some(header) = bytes.first_chunk::<{ frame::HEADER }>()
            && let Ok(length) = frame::body_len(*header, upload::REQUEST_MAX)
        {
            prop_assert!(length > 0 && length <= upload::REQUEST_MAX);
        }
    }

    #[test]
    fn texts_that_people_type(text in "\\PC{0,60}") {
        for rate in [FrameRate::new(25, 1), FrameRate::new(30_000, 1001), FrameRate::new(60, 1)] {
            let Some(rate) = rate else { continue };
            if let Ok(timecode) = Timecode::parse(&text, rate) {
                let again = Timecode::parse(&timecode.to_string(), rate);
                prop_assert_eq!(again.ok(), Some(timecode));
            }
        }
        if let Ok(secret) = text.parse::<Secret>() {
            prop_assert_eq!(secret.to_string().parse(), Ok(secret));
        }
        let _token = text.parse::<join::Token>();
        let _hash = text.parse::<BlobHash>();
        let _video = text.parse::<VideoId>();
    }

    #[test]
    fn timecodes_that_almost_are(text in "[0-9;:.,-]{0,14}") {
        for rate in [FrameRate::new(24, 1), FrameRate::new(30_000, 1001), FrameRate::new(120, 1)] {
            let Some(rate) = rate else { continue };
            if let Ok(timecode) = Timecode::parse(&text, rate) {
                let again = Timecode::parse(&timecode.to_string(), rate);
                prop_assert_eq!(again.ok(), Some(timecode));
            }
        }
    }

    #[test]
    fn names_never_become_paths(name in ".{0,80}", chars_max in 1..300_usize) {
        if let Ok(shown) = upload::display_name(&name, chars_max) {
            prop_assert!(!shown.contains(['/', '\\', '\0', '\n']) && !shown.is_empty());
            prop_assert!(shown != "." && shown != "..");
        }
    }

    #[test]
    fn manifests_that_almost_are(text in r#"(\{|\}|"[a-z_]{1,9}":|[0-9]{1,4}|"[a-f0-9]{0,8}"|,|\[|\]|null){0,40}"#) {
        let _manifest = serde_json::from_str::<manifest::Manifest>(&text);
    }
}
