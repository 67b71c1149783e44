//! Pure: what the language codes in files are called in playlists.

#![deny(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::iter_over_hash_type
)]

/// ISO 639-2 codes, bibliographic and terminological; the shortest code; the language's own name.
const KNOWN: [(&str, &str, &str, &str); 28] = [
    ("ara", "ara", "ar", "العربية"),
    ("bul", "bul", "bg", "Български"),
    ("chi", "zho", "zh", "中文"),
    ("cze", "ces", "cs", "Čeština"),
    ("dan", "dan", "da", "Dansk"),
    ("dut", "nld", "nl", "Nederlands"),
    ("eng", "eng", "en", "English"),
    ("fin", "fin", "fi", "Suomi"),
    ("fre", "fra", "fr", "Français"),
    ("ger", "deu", "de", "Deutsch"),
    ("gre", "ell", "el", "Ελληνικά"),
    ("heb", "heb", "he", "עברית"),
    ("hin", "hin", "hi", "हिन्दी"),
    ("hun", "hun", "hu", "Magyar"),
    ("ind", "ind", "id", "Bahasa Indonesia"),
    ("ita", "ita", "it", "Italiano"),
    ("jpn", "jpn", "ja", "日本語"),
    ("kor", "kor", "ko", "한국어"),
    ("nor", "nor", "no", "Norsk"),
    ("pol", "pol", "pl", "Polski"),
    ("por", "por", "pt", "Português"),
    ("rum", "ron", "ro", "Română"),
    ("rus", "rus", "ru", "Русский"),
    ("spa", "spa", "es", "Español"),
    ("swe", "swe", "sv", "Svenska"),
    ("tha", "tha", "th", "ไทย"),
    ("tur", "tur", "tr", "Türkçe"),
    ("ukr", "ukr", "uk", "Українська"),
];

/// BCP 47 wants the shortest ISO 639 code; files carry three letters. Anything odd is left out.
pub(super) fn tag(code: &str) -> Option<String> {
    let code = code.to_ascii_lowercase();
    let letters = code
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if code == "und" || !letters || !(2..=16).contains(&code.len()) {
        return None;
    }
    let known = KNOWN
        .iter()
        .find(|known| code == known.0 || code == known.1);
    Some(known.map_or(code.as_str(), |known| known.2).to_owned())
}

/// What viewers read for a tag made by [`tag`].
pub(super) fn name(tag: &str) -> &str {
    let known = KNOWN.iter().find(|known| known.2 == tag);
    known.map_or(tag, |known| known.3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_languages_are_left_out() {
        assert_eq!(tag("deu").as_deref(), Some("de"));
        assert_eq!(tag("ger").as_deref(), Some("de"));
        assert_eq!(name("de"), "Deutsch");
        assert_eq!(tag("pt-BR").as_deref(), Some("pt-br"));
        assert_eq!(name("pt-br"), "pt-br");
        for bad in ["und", "", "e", "en\"\n#EXT", "a-very-long-language-tag"] {
            assert_eq!(tag(bad), None, "{bad:?}");
        }
    }
}
