//! Pure: media hash lists: which files a card has, and what their hashes are.
//!
//! Read are the lists of version 1 (`*.mhl` beside the files) and ASC MHL 2.0 (`ascmhl/*.mhl`);
//! written is ASC MHL 2.0. Paths in a list are compared with those of files, and never opened.

#![deny(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::iter_over_hash_type
)]

use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};
use quick_xml::{Reader, Writer};

use super::Algorithm;

/// Largest list in bytes.
pub const BYTES_MAX: usize = 64 << 20;

/// Files in one list.
const FILES_MAX: usize = 200_000;

/// Longest path or hash in bytes.
const TEXT_MAX: usize = 4096;

/// How deep elements may lie in each other.
const DEPTH_MAX: usize = 32;

/// Elements that hold a hash, the quickest to compute first.
const NAMES: [(&str, Algorithm); 8] = [
    ("xxh128", Algorithm::Xxh128),
    ("xxh3", Algorithm::Xxh3),
    ("xxh64", Algorithm::Xxh64),
    // Version 1 says that its digits are those of the big-endian number, as everybody writes now.
    ("xxhash64be", Algorithm::Xxh64),
    ("blake3", Algorithm::Blake3),
    ("md5", Algorithm::Md5),
    ("sha1", Algorithm::Sha1),
    ("c4", Algorithm::C4),
];

/// One file of a list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Listed {
    /// From the folder that the list describes, with `/`.
    pub path: String,
    pub size_bytes: Option<u64>,
    /// As the list has them, in lower case unless they are C4 ids.
    pub hashes: Vec<(Algorithm, String)>,
}

impl Listed {
    /// The hash that is quickest to compare.
    pub fn best(&self) -> Option<&(Algorithm, String)> {
        NAMES.iter().find_map(|(_, algorithm)| {
            let mut hashes = self.hashes.iter();
            hashes.find(|(known, _)| known == algorithm)
        })
    }
}

/// Why a list cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("it has more than {BYTES_MAX} bytes")]
    TooLarge,
    #[error("it is not well-formed XML: {0}")]
    Xml(String),
    #[error("it is no media hash list")]
    Foreign,
    #[error(
        "it names more than {FILES_MAX} files, or a path or hash is longer than {TEXT_MAX} bytes"
    )]
    Limit,
}

/// The name of an algorithm as lists write it.
pub fn name(algorithm: Algorithm) -> Option<&'static str> {
    let mut names = NAMES.iter();
    names
        .find(|(_, known)| *known == algorithm)
        .map(|(name, _)| *name)
}

/// The algorithm that lists write so.
pub fn algorithm(name: &str) -> Option<Algorithm> {
    let mut names = NAMES.iter();
    names
        .find(|(known, _)| *known == name)
        .map(|(_, algorithm)| *algorithm)
}

/// The files of a list. Those without a hash that is known here are left out.
///
/// # Errors
/// It is too large, no XML, or something else.
pub fn parse(text: &str) -> Result<Vec<Listed>, Error> {
    if text.len() > BYTES_MAX {
        return Err(Error::TooLarge);
    }
    let mut reader = Reader::from_str(text);
    let config = reader.config_mut();
    config.expand_empty_elements = true;
    let mut parser = Parser::default();
    loop {
        let event = reader
            .read_event()
            .map_err(|error| Error::Xml(error.to_string()))?;
        match event {
            Event::Start(start) => parser.start(&start)?,
            Event::Text(text) => {
                let text = text
                    .decode()
                    .map_err(|error| Error::Xml(error.to_string()))?;
                parser.text(&text)?;
            }
            Event::CData(text) => {
                let text = text
                    .decode()
                    .map_err(|error| Error::Xml(error.to_string()))?;
                parser.text(&text)?;
            }
            // `&amp;` and its like; others are no part of such lists.
            Event::GeneralRef(name) => {
                let resolved = match name.decode().as_deref() {
                    Ok("amp") => '&',
                    Ok("lt") => '<',
                    Ok("gt") => '>',
                    Ok("quot") => '"',
                    Ok("apos") => '\'',
                    _ => match name.resolve_char_ref() {
                        Ok(Some(letter)) => letter,
                        _ => return Err(Error::Xml("unknown entity".to_owned())),
                    },
                };
                parser.text(resolved.encode_utf8(&mut [0; 4]))?;
            }
            Event::End(_) => parser.end()?,
            Event::Eof if parser.seen_root && parser.open.is_empty() => return Ok(parser.files),
            // Entities of its own, and what ends too early, have no place in a list.
            Event::DocType(_) | Event::Eof => return Err(Error::Foreign),
            _ => {}
        }
    }
}

#[derive(Debug, Default)]
struct Parser {
    seen_root: bool,
    /// Local names of the open elements.
    open: Vec<String>,
    text: String,
    file: Option<Listed>,
    /// The hash under way says itself that it did not match.
    is_failed: bool,
    files: Vec<Listed>,
}

impl Parser {
    fn start(&mut self, start: &BytesStart<'_>) -> Result<(), Error> {
        let name = String::from_utf8_lossy(start.local_name().as_ref()).into_owned();
        if self.open.is_empty() {
            if name != "hashlist" {
                return Err(Error::Foreign);
            }
            self.seen_root = true;
        }
        if self.open.len() >= DEPTH_MAX || name.len() > TEXT_MAX {
            return Err(Error::Limit);
        }
        // Hashes of folders have no file.
        if name == "hash" && !self.is_inside("directoryhash") {
            self.file = Some(Listed::default());
        }
        self.is_failed = false;
        for attribute in start.attributes() {
            let attribute = attribute.map_err(|error| Error::Xml(error.to_string()))?;
            let value = attribute.value.as_ref();
            match attribute.key.local_name().as_ref() {
                b"size" if name == "path" => {
                    let size = std::str::from_utf8(value).ok().and_then(|v| v.parse().ok());
                    if let Some(file) = &mut self.file {
                        file.size_bytes = size;
                    }
                }
                b"action" => self.is_failed = value == b"failed",
                _ => {}
            }
        }
        self.text.clear();
        self.open.push(name);
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<(), Error> {
        let Some(name) = self.open.last() else {
            return Ok(());
        };
        if self.file.is_none() || name == "hash" {
            return Ok(());
        }
        if self.text.len() + text.len() > TEXT_MAX {
            return Err(Error::Limit);
        }
        self.text.push_str(text);
        Ok(())
    }

    fn end(&mut self) -> Result<(), Error> {
        let Some(name) = self.open.pop() else {
            return Err(Error::Foreign);
        };
        let text = self.text.trim().to_owned();
        self.text.clear();
        let Some(file) = &mut self.file else {
            return Ok(());
        };
        match name.as_str() {
            "hash" => {
                if let Some(file) = self.file.take()
                    && !file.path.is_empty()
                    && !file.hashes.is_empty()
                {
                    if self.files.len() >= FILES_MAX {
                        return Err(Error::Limit);
                    }
                    self.files.push(file);
                }
            }
            // Version 2, and version 1.
            "path" | "file" => {
                let path = text.replace('\\', "/");
                path.trim_start_matches("./").clone_into(&mut file.path);
            }
            "size" => file.size_bytes = text.parse().ok(),
            other => {
                if let Some(algorithm) = algorithm(other)
                    && !text.is_empty()
                    && !self.is_failed
                {
                    let hash = if algorithm == Algorithm::C4 {
                        text
                    } else {
                        text.to_ascii_lowercase()
                    };
                    file.hashes.push((algorithm, hash));
                }
            }
        }
        Ok(())
    }

    fn is_inside(&self, name: &str) -> bool {
        self.open.iter().any(|open| open == name)
    }
}

/// What is written about one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written<'a> {
    pub path: &'a str,
    pub size_bytes: u64,
    pub hashes: &'a [(Algorithm, String)],
    /// When the hashes were computed, as RFC 3339 has it.
    pub hashed_at: &'a str,
    /// Who computed them.
    pub host: &'a str,
    pub version: &'a str,
}

/// An ASC MHL 2.0 list of one file.
pub fn write(file: &Written<'_>) -> String {
    let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
    let mut put = |event: Event<'_>| {
        writer
            .write_event(event)
            .expect("a vector takes everything");
    };
    let element = |put: &mut dyn FnMut(Event<'_>), start: BytesStart<'_>, text: &str| {
        let end = start.to_end().into_owned();
        put(Event::Start(start.clone()));
        put(Event::Text(BytesText::new(&legal(text))));
        put(Event::End(end));
    };
    put(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)));
    let root = BytesStart::new("hashlist")
        .with_attributes([("version", "2.0"), ("xmlns", "urn:ASC:MHL:v2.0")]);
    put(Event::Start(root));
    put(Event::Start(BytesStart::new("creatorinfo")));
    element(&mut put, BytesStart::new("creationdate"), file.hashed_at);
    element(&mut put, BytesStart::new("hostname"), file.host);
    let tool = BytesStart::new("tool").with_attributes([("version", file.version)]);
    element(&mut put, tool, "Reelmesh");
    put(Event::End(BytesEnd::new("creatorinfo")));
    put(Event::Start(BytesStart::new("processinfo")));
    element(&mut put, BytesStart::new("process"), "transfer");
    put(Event::End(BytesEnd::new("processinfo")));
    put(Event::Start(BytesStart::new("hashes")));
    put(Event::Start(BytesStart::new("hash")));
    let size = file.size_bytes.to_string();
    let path = BytesStart::new("path").with_attributes([("size", size.as_str())]);
    element(&mut put, path, file.path);
    for (algorithm, hash) in file.hashes {
        if let Some(name) = name(*algorithm) {
            let start = BytesStart::new(name)
                .with_attributes([("action", "original"), ("hashdate", file.hashed_at)]);
            element(&mut put, start, hash);
        }
    }
    put(Event::End(BytesEnd::new("hash")));
    put(Event::End(BytesEnd::new("hashes")));
    put(Event::End(BytesEnd::new("hashlist")));
    let mut text = String::from_utf8(writer.into_inner()).expect("all that was put in is text");
    text.push('\n');
    text
}

/// Without the characters that XML 1.0 has no way to write (2.2 there).
fn legal(text: &str) -> String {
    let bad = |c: char| c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}');
    text.chars().filter(|&c| !bad(c)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<hashlist version="1.1">
  <creatorinfo><name>Op</name><tool>Some Tool</tool></creatorinfo>
  <hash>
    <file>A001/Clip &amp; one.mov</file>
    <size>1234</size>
    <lastmodificationdate>2026-11-01T10:00:00Z</lastmodificationdate>
    <xxhash64be>44BC2CF5AD770999</xxhash64be>
    <md5>900150983cd24fb0d6963f7d28e17f72</md5>
    <hashdate>2026-11-01T10:00:01Z</hashdate>
  </hash>
  <hash><file>no-hash.mov</file><size>1</size></hash>
</hashlist>"#;

    const TWO: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<hashlist version="2.0" xmlns="urn:ASC:MHL:v2.0">
  <creatorinfo><creationdate>2026-11-01T10:00:00+00:00</creationdate></creatorinfo>
  <processinfo><process>in-place</process>
    <roothash><content><xxh64>aa</xxh64></content><structure><xxh64>bb</xxh64></structure></roothash>
  </processinfo>
  <hashes>
    <hash>
      <path size="5" lastmodificationdate="2026-11-01T10:00:00Z">Clips/A.mov</path>
      <c4 action="original">c459dsjfscH38cYeXXYogktxf4Cd9ibshE3BHUo6a58hBXmRQdZrAkZzsWcbWtDg5oQstpDuni4Hirj75GEmTc1sFT</c4>
      <xxh64 action="failed">1111111111111111</xxh64>
    </hash>
    <directoryhash><path>Clips</path><content><xxh64>cc</xxh64></content></directoryhash>
  </hashes>
</hashlist>"#;

    #[test]
    fn both_kinds_of_list_are_read() {
        let one = parse(ONE).unwrap();
        assert_eq!(one.len(), 1);
        assert_eq!(one[0].path, "A001/Clip & one.mov");
        assert_eq!(one[0].size_bytes, Some(1234));
        let best = (Algorithm::Xxh64, "44bc2cf5ad770999".to_owned());
        assert_eq!(one[0].best(), Some(&best));
        let two = parse(TWO).unwrap();
        assert_eq!(two.len(), 1);
        assert_eq!(
            (two[0].path.as_str(), two[0].size_bytes),
            ("Clips/A.mov", Some(5))
        );
        assert_eq!(two[0].hashes.len(), 1, "one that failed says nothing");
        assert_eq!(two[0].best().unwrap().0, Algorithm::C4);
    }

    #[test]
    fn what_is_written_is_read_again() {
        let hashes = vec![
            (
                Algorithm::Xxh128,
                "99aa06d3014798d86001c324468d497f".to_owned(),
            ),
            (
                Algorithm::Md5,
                "900150983cd24fb0d6963f7d28e17f72".to_owned(),
            ),
        ];
        let text = write(&Written {
            path: "Täke <1> & \"2\".mov",
            size_bytes: 77,
            hashes: &hashes,
            hashed_at: "2026-11-25T00:00:00Z",
            host: "edge-1",
            version: "0.1.0",
        });
        assert!(text.contains("urn:ASC:MHL:v2.0") && text.contains("<tool version=\"0.1.0\">"));
        let read = parse(&text).unwrap();
        assert_eq!(read[0].path, "Täke <1> & \"2\".mov");
        assert_eq!(read[0].hashes, hashes);
        assert_eq!(read[0].size_bytes, Some(77));
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for text in [
            "",
            "nonsense",
            "<html/>",
            "<hashlist>",
            "<hashlist><hash></hashlist>",
            "<!DOCTYPE hashlist [<!ENTITY a 'b'>]><hashlist/>",
            "<hashlist><hash><file>&bomb;</file></hash></hashlist>",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        let long = "x".repeat(TEXT_MAX + 1);
        let long = format!("<hashlist><hash><file>{long}</file></hash></hashlist>");
        assert_eq!(parse(&long), Err(Error::Limit));
        let deep = "<hashlist>".repeat(DEPTH_MAX + 1);
        assert_eq!(parse(&deep), Err(Error::Limit));
        assert_eq!(parse("<hashlist/>"), Ok(Vec::new()));
    }
}
