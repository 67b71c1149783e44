//! Pure: which segments a viewer will ask for next.

#![deny(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::iter_over_hash_type
)]

/// Up to `count` names that stand behind `file` in a media playlist, each once.
pub fn following<'a>(playlist: &'a str, file: &str, count: usize) -> Vec<&'a str> {
    let line = format!("\n{file}\n");
    let Some(found) = playlist.find(&line) else {
        return Vec::new();
    };
    // In a list of pictures one file stands several times in a row.
    let mut names: Vec<&str> = Vec::new();
    for name in playlist[found + line.len()..].lines() {
        if names.len() == count {
            break;
        }
        let plain = !name.is_empty() && !name.starts_with('#') && !name.contains('/');
        if plain && name != file && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_is_what_the_playlist_says() {
        let list = "#EXTM3U\n#EXTINF:6,\na.m4s\n#EXTINF:6,\nb.m4s\n#EXT-X-MAP:URI=\"i\"\n#EXTINF:6,\nc.m4s\n";
        assert_eq!(following(list, "a.m4s", 1), ["b.m4s"]);
        assert_eq!(following(list, "a.m4s", 5), ["b.m4s", "c.m4s"]);
        assert_eq!(following(list, "c.m4s", 5), [""; 0]);
        assert_eq!(following(list, "d.m4s", 5), [""; 0]);
        assert_eq!(following(list, "", 5), [""; 0]);
        assert_eq!(following(list, "a.m4s", 0), [""; 0]);
        // Half a name is not a name, and nothing leads out of the folder.
        assert_eq!(following("x\nba.m4s\n../up.m4s\n", "a.m4s", 5), [""; 0]);
        assert_eq!(following("x\na.m4s\n../up.m4s\n", "a.m4s", 5), [""; 0]);
        let pictures = "x\na.m4s\n#B\na.m4s\n#B\nb.m4s\n#B\nb.m4s\n#B\nc.m4s\n";
        assert_eq!(following(pictures, "a.m4s", 2), ["b.m4s", "c.m4s"]);
    }
}
