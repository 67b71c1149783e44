//! Pure: what objects are called, and what a name says about its object.
//!
//! The name of a segment, an init segment or an image carries 16 hex digits of the BLAKE3 hash of
//! its bytes; such a name never gets other bytes, so it may be cached for ever.

#![deny(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::iter_over_hash_type
)]

use protocol::id::{GenerationId, VideoId};
use protocol::job::Unit;
use protocol::media::FrameRange;

/// The multivariant playlist, in the folder of a generation. Its presence says: this plays.
pub const MASTER: &str = "master.m3u8";

/// The media playlist, in the folder of a rendition.
pub const MEDIA: &str = "media.m3u8";

/// Indexes of the small pictures, in the folder of a generation.
pub const SPRITES: &str = "sprites.json";
pub const SPRITES_VTT: &str = "sprites.vtt";

/// The index of the outlines of the sound, in the folder of a generation.
pub const PEAKS: &str = "peaks.json";
/// The playlist of pictures that decode alone, in the folder of a rendition.
pub const IFRAMES: &str = "iframes.m3u8";

/// Longest name below a generation in bytes.
pub const NAME_MAX: usize = 200;

/// Most folders a name has.
const DEPTH_MAX: usize = 4;

/// What a name's ending says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Image,
    /// Made from manifests as playlists are, but does not lead viewers in.
    Index,
    Init,
    Manifest,
    Movie,
    Peaks,
    Playlist,
    Segment,
    /// The other form of an image.
    WebP,
}

impl Kind {
    pub fn of(name: &str) -> Option<Self> {
        Some(match name.rsplit_once('.')?.1 {
            _ if [SPRITES, SPRITES_VTT, PEAKS].contains(&name) => Self::Index,
            "dat" => Self::Peaks,
            "jpg" => Self::Image,
            "json" => Self::Manifest,
            "m3u8" => Self::Playlist,
            "m4s" => Self::Segment,
            "mov" => Self::Movie,
            "mp4" => Self::Init,
            "webp" => Self::WebP,
            _ => return None,
        })
    }

    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Image => "image/jpeg",
            Self::Init | Self::Segment => "video/mp4",
            Self::Index | Self::Manifest => "application/json",
            Self::Movie => "video/quicktime",
            Self::Peaks => "application/octet-stream",
            Self::Playlist => "application/vnd.apple.mpegurl",
            Self::WebP => "image/webp",
        }
    }
}

/// The media type of `name`. Sound and picture segments share an ending; the folder tells them apart.
pub fn content_type(name: &str, kind: Kind) -> &'static str {
    match kind {
        Kind::Init | Kind::Segment if name.starts_with("audio") => "audio/mp4",
        Kind::Index if name == SPRITES_VTT => "text/vtt",
        _ => kind.content_type(),
    }
}

/// Its name carries its hash.
pub const IMMUTABLE_CACHE: &str = "public, max-age=31536000, immutable";

/// A finished playlist lies under its generation and does not change either; a shorter life lets a
/// deletion reach viewers.
pub const PLAYLIST_CACHE: &str =
    "public, max-age=3600, stale-while-revalidate=86400, stale-if-error=604800";

/// One that still grows is asked for again every few seconds.
pub const GROWING_CACHE: &str = "public, max-age=1, stale-if-error=30";

/// How long those who read the store directly may keep an object.
pub const fn cache_control(kind: Kind) -> &'static str {
    match kind {
        // Neither has a hash in its name.
        Kind::Index | Kind::Playlist => PLAYLIST_CACHE,
        // For nodes alone.
        Kind::Manifest => "no-cache",
        Kind::Image | Kind::Init | Kind::Movie | Kind::Peaks | Kind::Segment | Kind::WebP => {
            IMMUTABLE_CACHE
        }
    }
}

/// Folder of a generation in the origin.
pub fn folder(video: VideoId, generation: GenerationId) -> String {
    format!("hls/{video}/{generation}")
}

/// Key of `name` in the folder of a generation.
pub fn key(video: VideoId, generation: GenerationId, name: &str) -> String {
    format!("hls/{video}/{generation}/{name}")
}

/// Name of a unit's manifest, below the generation.
pub fn unit_manifest(unit: Unit) -> String {
    format!("units/{unit}.json")
}

/// Name of a rendition's playlist, below the generation.
pub fn media_playlist(rendition: &str) -> String {
    format!("{rendition}/{MEDIA}")
}

/// Name of a rendition's playlist of pictures that decode alone, below the generation.
pub fn iframe_playlist(rendition: &str) -> String {
    format!("{rendition}/{IFRAMES}")
}

/// URL path of what plays.
pub fn master_url(video: VideoId, generation: GenerationId) -> String {
    format!("/hls/{video}/{generation}/{MASTER}")
}

/// URL path of the index of small pictures.
pub fn sprites_url(video: VideoId, generation: GenerationId) -> String {
    format!("/hls/{video}/{generation}/{SPRITES}")
}

/// URL path of the index of the outlines of the sound.
pub fn peaks_url(video: VideoId, generation: GenerationId) -> String {
    format!("/hls/{video}/{generation}/{PEAKS}")
}

/// URL path of what plays of a subclip, until its video gets another generation.
pub fn clip_master_url(video: VideoId, generation: GenerationId, frames: FrameRange) -> String {
    let FrameRange { start, end } = frames;
    format!("/hls/{video}/{generation}/clips/{start}-{end}/{MASTER}")
}

/// Whether `name` may stand below a generation: parts of `[a-z0-9._-]+` that do not begin with a
/// dot, joined by `/`.
pub fn is_valid(name: &str) -> bool {
    name.len() <= NAME_MAX && name.split('/').count() <= DEPTH_MAX && name.split('/').all(is_part)
}

fn is_part(part: &str) -> bool {
    let mut bytes = part.bytes();
    let allowed = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-');
    bytes.next().is_some_and(|b| b != b'.' && allowed(b)) && bytes.all(allowed)
}

/// The hash digits in `name`, if it carries some: `000001-0123456789abcdef.m4s`.
pub fn hash_in(name: &str) -> Option<&str> {
    let (stem, _) = name
        .rsplit_once('/')
        .map_or(name, |(_, last)| last)
        .rsplit_once('.')?;
    let (_, hash) = stem.rsplit_once('-')?;
    let hex = hash.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    (hash.len() == 16 && hex).then_some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_are_refused() {
        for good in [
            "master.m3u8",
            "1080p/init-00.mp4",
            "units/piece-0001.json",
            "a/b/c/d.jpg",
        ] {
            assert!(is_valid(good), "{good}");
        }
        let long = "a".repeat(NAME_MAX + 1);
        for bad in [
            "",
            "/",
            "a/",
            "/a",
            "a//b",
            ".",
            "..",
            "a/../b",
            ".hidden",
            "a/.b",
            "A.m4s",
            "a b",
            "a%2fb",
            "a\\b",
            "a\0",
            "é",
            "a/b/c/d/e.jpg",
            "a#1",
            &long,
        ] {
            assert!(!is_valid(bad), "{bad:?}");
        }
    }

    #[test]
    fn the_hash_is_read_from_the_name() {
        assert_eq!(
            hash_in("1080p/000001-0123456789abcdef.m4s"),
            Some("0123456789abcdef")
        );
        assert_eq!(
            hash_in("thumb-640-0123456789abcdef.jpg"),
            Some("0123456789abcdef")
        );
        for none in [
            "master.m3u8",
            "a-0123.m4s",
            "a-0123456789abcdeg.m4s",
            "0123456789abcdef",
            "a-0123456789abcdef/b.m4s",
        ] {
            assert_eq!(hash_in(none), None, "{none}");
        }
    }
}
