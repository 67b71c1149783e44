//! Uploads in parts that were begun and never put together: they cost room and no list shows them.

use std::time::SystemTime;

use futures::StreamExt as _;
use object_store::path::Path;
use object_store::signer::{Method, SignedUrlOptions};
use serde::Deserialize;

use super::{Class, Error, Origin, SIGNED_FOR};
use crate::config::Provider;

/// Most uploads that one look finds; the next look finds the rest.
const LIST_MAX: usize = 1000;

/// Largest answer that is read.
const BODY_MAX: usize = 4 << 20;

/// An upload that was begun and not put together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfinished {
    pub key: String,
    /// What the store calls it; for a folder, the name of the file.
    pub id: String,
    /// Milliseconds since 1970; none if the store does not say.
    pub begun_ms: Option<i64>,
}

/// What is unfinished in a store, or why that cannot be said.
#[derive(Debug)]
pub enum UnfinishedList {
    Found(Vec<Unfinished>),
    /// The store looks after them itself; how, in words.
    ByTheStore(&'static str),
}

impl Origin {
    /// Uploads in parts that nobody finished, at most a thousand of them.
    ///
    /// # Errors
    /// The store fails.
    pub async fn unfinished(&self) -> Result<UnfinishedList, Error> {
        let inner = &self.inner;
        if let Some(folder) = inner.folder.clone() {
            let found = tokio::task::spawn_blocking(move || beside(&folder));
            let found = found.await.expect("walking a folder does not panic");
            return Ok(UnfinishedList::Found(found));
        }
        let Some(signer) = inner.signer.as_ref().filter(|_| inner.multiparts.is_some()) else {
            return Ok(UnfinishedList::ByTheStore(match inner.provider {
                Some(Provider::Azure) => {
                    "Azure drops blocks that were not put together after a week"
                }
                _ => "this store has none",
            }));
        };
        let mut query = vec![
            ("uploads".to_owned(), String::new()),
            ("max-uploads".to_owned(), LIST_MAX.to_string()),
        ];
        let prefix = inner.prefix.to_string();
        if !prefix.is_empty() {
            query.push(("prefix".to_owned(), format!("{prefix}/")));
        }
        let options = SignedUrlOptions::new().with_query(query);
        let bucket = Path::default();
        let url = signer
            .signed_url_opts(Method::GET, &bucket, SIGNED_FOR, &options)
            .await
            .map_err(Error::of("list unfinished uploads in", &inner.url))?;
        let body = fetch(url.as_str(), &inner.url).await?;
        let found = parse(&body).into_iter().map(|upload| Unfinished {
            key: self.key(&Path::from(upload.key.as_str())),
            ..upload
        });
        Ok(UnfinishedList::Found(found.collect()))
    }

    /// Gives up an upload that [`Origin::unfinished`] found.
    ///
    /// # Errors
    /// The store fails.
    pub async fn abort(&self, upload: &Unfinished) -> Result<(), Error> {
        let inner = &self.inner;
        if let Some(folder) = &inner.folder {
            let path = folder.join(&upload.id);
            return match tokio::fs::remove_file(&path).await {
                Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                    Err(Error::File { path, source })
                }
                _ => Ok(()),
            };
        }
        let Some(multiparts) = &inner.multiparts else {
            return Ok(());
        };
        let path = self.path(&upload.key)?;
        match multiparts.abort_multipart(&path, &upload.id).await {
            Err(object_store::Error::NotFound { .. }) | Ok(()) => Ok(()),
            Err(error) => Err(Error::of("give up an upload of", &upload.key)(error)),
        }
    }
}

#[cfg(test)]
impl Origin {
    /// Begins an upload in parts and leaves it, as a node that is killed does.
    pub(crate) async fn begin_and_forget(&self, key: &str) -> Result<(), Error> {
        let path = self.path(key)?;
        let multiparts = self.inner.multiparts.as_ref().expect("a store with parts");
        let begun = multiparts.create_multipart(&path).await;
        begun.map(drop).map_err(Error::of("begin", key))
    }
}

async fn fetch(url: &str, shown: &str) -> Result<String, Error> {
    // The text of such an error would show the signature.
    let failed = |said: String| Error::Store {
        action: "list unfinished uploads in",
        key: shown.to_owned(),
        said,
        mend: Some(
            "let the key list multipart uploads of the bucket, or give it a rule that ends them after some days",
        ),
        class: Class::Other,
    };
    let client = reqwest::Client::builder()
        .timeout(std::time::Duration::from_secs(30))
        .build()
        .map_err(|error| failed(error.without_url().to_string()))?;
    let answer = client.get(url).send().await;
    let answer = answer.map_err(|error| failed(error.without_url().to_string()))?;
    if !answer.status().is_success() {
        return Err(failed(format!("HTTP {}", answer.status().as_u16())));
    }
    let mut body = Vec::new();
    let mut chunks = answer.bytes_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| failed(error.without_url().to_string()))?;
        if body.len() + chunk.len() > BODY_MAX {
            return Err(failed("the answer has no end".to_owned()));
        }
        body.extend_from_slice(&chunk);
    }
    String::from_utf8(body).map_err(|_| failed("the answer is not text".to_owned()))
}

/// `ListMultipartUploadsResult`, what is of use of it.
#[derive(Debug, Default, Deserialize)]
struct Uploads {
    #[serde(rename = "Upload", default)]
    uploads: Vec<Upload>,
}

#[derive(Debug, Deserialize)]
struct Upload {
    #[serde(rename = "Key")]
    key: Option<String>,
    #[serde(rename = "UploadId")]
    id: Option<String>,
    #[serde(rename = "Initiated")]
    begun: Option<String>,
}

fn parse(xml: &str) -> Vec<Unfinished> {
    let Uploads { uploads } = quick_xml::de::from_str(xml).unwrap_or_default();
    let found = uploads.into_iter().filter_map(|upload| {
        let begun: Option<jiff::Timestamp> = upload.begun.and_then(|text| text.parse().ok());
        Some(Unfinished {
            key: upload.key?,
            id: upload.id?,
            begun_ms: begun.map(jiff::Timestamp::as_millisecond),
        })
    });
    found.take(LIST_MAX).collect()
}

/// A put into a folder that was cut off leaves a file `NAME#NUMBER`, which is no object.
fn beside(folder: &std::path::Path) -> Vec<Unfinished> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&next) else {
            continue;
        };
        for entry in entries.flatten() {
            let Ok(kind) = entry.file_type() else {
                continue;
            };
            if kind.is_dir() {
                folders.push(entry.path());
                continue;
            }
            let name = entry.file_name();
            let Some((stem, number)) = name.to_str().and_then(|name| name.rsplit_once('#')) else {
                continue;
            };
            let is_number = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
            let path = entry.path();
            let Some(id) = path.strip_prefix(folder).ok().and_then(|p| p.to_str()) else {
                continue;
            };
            if !kind.is_file() || !is_number || found.len() == LIST_MAX {
                continue;
            }
            let parent = std::path::Path::new(id).parent();
            let key = parent.map_or_else(|| stem.into(), |parent| parent.join(stem));
            let modified = entry.metadata().and_then(|metadata| metadata.modified());
            found.push(Unfinished {
                key: key.to_string_lossy().into_owned(),
                id: id.to_owned(),
                begun_ms: modified.ok().and_then(millis),
            });
        }
    }
    found
}

fn millis(at: SystemTime) -> Option<i64> {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    i64::try_from(since.as_millis()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_uploads_is_read() {
        let xml = "<?xml version=\"1.0\"?><ListMultipartUploadsResult xmlns=\"http://s3\"><Bucket>b</Bucket><Upload><Key>a&amp;b/c</Key><UploadId>U-1==</UploadId><Initiator><ID>x</ID></Initiator><Initiated>2026-11-24T10:00:00.000Z</Initiated></Upload><Upload><Key>d</Key></Upload><Upload><UploadId>U-2</UploadId><Key>e</Key></Upload></ListMultipartUploadsResult>";
        let found = parse(xml);
        let shown: Vec<_> = found
            .iter()
            .map(|u| (u.key.as_str(), u.id.as_str()))
            .collect();
        assert_eq!(shown, [("a&b/c", "U-1=="), ("e", "U-2")]);
        assert_eq!(found[0].begun_ms, Some(1_795_514_400_000));
        assert!(parse("<html>no").is_empty());
    }

    #[tokio::test]
    async fn what_a_killed_put_left_in_a_folder_is_found_and_removed() {
        let data = tempfile::tempdir().unwrap();
        let origin = Origin::open("file://./origin", data.path()).unwrap();
        origin.put("a/b.m4s", bytes::Bytes::new()).await.unwrap();
        let left = data.path().join("origin/a/c.m4s#1");
        std::fs::write(&left, "half").unwrap();
        let UnfinishedList::Found(found) = origin.unfinished().await.unwrap() else {
            panic!("a folder knows");
        };
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].key.as_str(), found[0].id.as_str()),
            ("a/c.m4s", "a/c.m4s#1")
        );
        assert!(found[0].begun_ms.is_some());
        origin.abort(&found[0]).await.unwrap();
        assert!(!left.exists());
        assert_eq!(origin.size("a/b.m4s").await.unwrap(), Some(0));
    }
}
