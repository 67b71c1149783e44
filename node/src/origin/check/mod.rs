//! Tries everything that a node will ask of its store, and says of each failure what to do.
//!
//! It writes below `check/` with a name of its own and takes everything away again; a sweep finds
//! what a killed check left.

mod browser;

use std::path::Path as FilePath;
use std::time::Instant;

use bytes::Bytes;
use futures::TryStreamExt as _;
use object_store::ObjectStoreExt as _;
use serde::Serialize;
use uuid::Uuid;

use super::explain::Class;
use super::{Environment, Error, Headers, Origin, UnfinishedList, open};
use crate::config;

/// Where checks write.
pub const FOLDER: &str = "check";

/// As segments are: kept for a year.
const HEADERS: Headers = Headers {
    content_type: "video/mp4",
    cache_control: "public, max-age=31536000, immutable",
};

/// How one try ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Ok,
    /// A node works without it.
    Warning,
    Failed,
    /// Not asked of this kind of store.
    Skipped,
}

/// One thing that was tried.
#[derive(Debug, Clone, Serialize)]
pub struct Step {
    pub name: &'static str,
    pub outcome: Outcome,
    /// What was seen, in words.
    pub seen: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mend: Option<String>,
    pub took_ms: u64,
}

/// All that was tried.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    pub url: String,
    pub steps: Vec<Step>,
    /// What the first failure says of the store as a whole.
    #[serde(skip)]
    pub class: Option<Class>,
}

impl Report {
    pub fn failures(&self) -> usize {
        self.count(Outcome::Failed)
    }

    pub fn warnings(&self) -> usize {
        self.count(Outcome::Warning)
    }

    fn count(&self, outcome: Outcome) -> usize {
        self.steps
            .iter()
            .filter(|step| step.outcome == outcome)
            .count()
    }
}

/// What a try found.
struct Seen {
    outcome: Outcome,
    text: String,
    mend: Option<String>,
    class: Option<Class>,
}

impl Seen {
    fn new(outcome: Outcome, text: impl Into<String>) -> Self {
        Self {
            outcome,
            text: text.into(),
            mend: None,
            class: None,
        }
    }

    fn ok(text: impl Into<String>) -> Self {
        Self::new(Outcome::Ok, text)
    }

    fn skipped(text: impl Into<String>) -> Self {
        Self::new(Outcome::Skipped, text)
    }

    fn failed(text: impl Into<String>, mend: impl Into<String>) -> Self {
        Self {
            mend: Some(mend.into()),
            ..Self::new(Outcome::Failed, text)
        }
    }

    fn warning(text: impl Into<String>, mend: impl Into<String>) -> Self {
        Self {
            outcome: Outcome::Warning,
            ..Self::failed(text, mend)
        }
    }
}

impl From<Error> for Seen {
    fn from(error: Error) -> Self {
        match error {
            Error::Store {
                action,
                key,
                said,
                mend,
                class,
            } => Self {
                outcome: Outcome::Failed,
                text: format!("cannot {action} {key}: {said}"),
                mend: mend.map(str::to_owned),
                class: Some(class),
            },
            error => Self::new(Outcome::Failed, error.to_string()),
        }
    }
}

/// Tries the store that `section` describes. `web_origin` is the page whose scripts would read it.
pub async fn run(
    section: &config::Origin,
    data_dir: &FilePath,
    environment: Environment<'_>,
    web_origin: &str,
) -> Report {
    let mut report = Report {
        url: section.url.clone(),
        steps: Vec::new(),
        class: None,
    };
    let began = Instant::now();
    let origin = match Origin::from_section(section, data_dir, environment) {
        Ok(origin) => origin,
        Err(error) => {
            note(&mut report, "settings", began, Seen::from(error));
            return report;
        }
    };
    let settings = Seen::ok(settings(section, &origin));
    note(&mut report, "settings", began, settings);
    let check = Check {
        folder: format!("{FOLDER}/{}", Uuid::now_v7()),
        origin,
        web_origin: web_origin.to_owned(),
    };
    let began = Instant::now();
    let mut put = check.put().await;
    let reached = put.outcome != Outcome::Failed;
    if !reached && let Some(mend) = check.other_style(section, environment).await {
        put.mend = Some(mend);
    }
    note(&mut report, "put", began, put);
    if !reached {
        return report;
    }
    macro_rules! tried {
        ($($name:ident),+) => {$(
            let began = Instant::now();
            let seen = check.$name().await.unwrap_or_else(Seen::from);
            note(&mut report, stringify!($name), began, seen);
        )+};
    }
    tried!(
        look,
        read,
        range,
        list,
        headers,
        create_once,
        stale_update,
        multipart,
        abort,
        unfinished,
        clock,
        public,
        cors_preflight,
        cors_get,
        delete,
        delete_missing
    );
    // Whatever a failed try left.
    if let Ok(left) = check.origin.list(&check.folder).await {
        drop(check.origin.delete_all(left.into_keys()).await);
    }
    report
}

fn note(report: &mut Report, name: &'static str, began: Instant, seen: Seen) {
    if seen.outcome == Outcome::Failed && report.class.is_none() {
        report.class = seen.class;
    }
    report.steps.push(Step {
        name,
        outcome: seen.outcome,
        seen: seen.text,
        mend: seen.mend,
        took_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
    });
}

/// The store in words, as the section describes it.
fn settings(section: &config::Origin, origin: &Origin) -> String {
    match section.store() {
        Ok(config::Store::S3(s3)) => format!(
            "{}, bucket {}, {}, region {}, names in the {}, conditions {}",
            s3.provider,
            s3.bucket,
            s3.endpoint()
                .as_deref()
                .unwrap_or("the provider's own endpoint"),
            s3.region.as_deref().unwrap_or("of the environment"),
            if s3.host_style { "host" } else { "path" },
            if s3.conditional_put {
                "used"
            } else {
                "not used"
            },
        ),
        Ok(config::Store::Gcs { bucket, .. }) => format!("Google Cloud Storage, bucket {bucket}"),
        Ok(config::Store::Azure { container, .. }) => format!("Azure, container {container}"),
        _ => match &origin.inner.folder {
            Some(folder) => format!("the folder {}", folder.display()),
            None => origin.url().to_owned(),
        },
    }
}

struct Check {
    folder: String,
    origin: Origin,
    web_origin: String,
}

type Tried = Result<Seen, Error>;

/// What is written and read again.
fn pattern(length: usize) -> Bytes {
    let bytes: Vec<u8> = (0_u8..=250).cycle().take(length).collect();
    bytes.into()
}

const SMALL: usize = 100_000;

impl Check {
    fn key(&self, name: &str) -> String {
        format!("{}/{name}", self.folder)
    }

    /// An object as a segment is.
    fn segment(&self) -> String {
        self.key("000000-0123456789abcdef.m4s")
    }

    async fn put(&self) -> Seen {
        let key = self.segment();
        match self.origin.put_with(&key, pattern(SMALL), HEADERS).await {
            Ok(_) => Seen::ok("an object was written"),
            Err(error) => error.into(),
        }
    }

    /// Whether the bucket is found where the other style looks for it.
    async fn other_style(
        &self,
        section: &config::Origin,
        environment: Environment<'_>,
    ) -> Option<String> {
        let Ok(config::Store::S3(s3)) = section.store() else {
            return None;
        };
        let other = s3.other_style();
        let client = open::s3_client(section, &other, environment).ok()?;
        let path = self.origin.path(&self.segment()).ok()?;
        client.put(&path, pattern(SMALL).into()).await.ok()?;
        drop(client.delete(&path).await);
        let style = if other.host_style { "host" } else { "path" };
        Some(format!(
            "the bucket answers the other way: write addressing = \"{style}\" in [origin]"
        ))
    }

    async fn look(&self) -> Tried {
        let stored = self.origin.head(&self.segment()).await?;
        Ok(match stored.map(|stored| stored.size_bytes) {
            Some(size) if size == SMALL as u64 => Seen::ok("it has the size that was sent"),
            Some(size) => Seen::failed(
                format!("it has {size} bytes instead of {SMALL}"),
                "something between this machine and the store changes what is sent: go around the proxy",
            ),
            None => Seen::failed(
                "it is not there right after it was written",
                "the store must show at once what it has taken; ask its provider for read-after-write consistency",
            ),
        })
    }

    async fn read(&self) -> Tried {
        let bytes = self.origin.get(&self.segment(), SMALL as u64 * 2).await?;
        Ok(if bytes == pattern(SMALL) {
            Seen::ok("it has the bytes that were sent")
        } else {
            Seen::failed(
                "other bytes came back",
                "something between this machine and the store changes what is sent: go around the proxy",
            )
        })
    }

    async fn range(&self) -> Tried {
        let reading = self
            .origin
            .open_object(&self.segment(), Some(1000..1300))
            .await?;
        let size_bytes = reading.size_bytes;
        let read: Vec<Bytes> = reading
            .stream
            .try_collect()
            .await
            .map_err(Error::of("read", &self.segment()))?;
        let fits = read.concat() == pattern(SMALL)[1000..1300] && size_bytes == SMALL as u64;
        Ok(if fits {
            Seen::ok("a part of it can be read")
        } else {
            Seen::failed(
                "a request for a part of it brought something else",
                "the store, or a proxy before it, must heed Range",
            )
        })
    }

    async fn list(&self) -> Tried {
        let list = self.origin.list(&self.folder).await?;
        Ok(match list.get(&self.segment()) {
            Some(size) if *size == SMALL as u64 => Seen::ok("the list shows it"),
            _ => Seen::failed(
                "the list does not show it right after it was written",
                "the store's lists must be consistent; sweeping and publishing rely on them",
            ),
        })
    }

    async fn create_once(&self) -> Tried {
        let key = self.key("once");
        let put = || self.origin.replace(&key, pattern(10), HEADERS, None);
        let twice = async { Ok((put().await?, put().await?)) };
        Ok(self.heeded(twice).await)
    }

    async fn stale_update(&self) -> Tried {
        let key = self.key("update");
        let twice = async {
            self.origin.put_with(&key, pattern(10), HEADERS).await?;
            let standing = self.origin.head(&key).await?;
            let put = |length| {
                let standing = standing.clone();
                self.origin
                    .replace(&key, pattern(length), HEADERS, standing)
            };
            Ok((put(20).await?, put(30).await?))
        };
        Ok(self.heeded(twice).await)
    }

    /// Judges two puts under a condition that holds only for the first.
    async fn heeded(&self, twice: impl Future<Output = Result<(bool, bool), Error>>) -> Seen {
        if !self.origin.has_conditional_put() {
            return Seen::skipped(
                "not used with this store; who publishes is decided by the cluster alone",
            );
        }
        match twice.await {
            Ok((true, false)) => Seen::ok("the store heeds the condition of a put"),
            Ok((true, true)) => Seen::failed(
                "the store ignores the condition of a put without saying so",
                WITHOUT_CONDITIONS,
            ),
            Ok((false, _)) => Seen::failed(
                "the store refuses a put although its condition holds",
                WITHOUT_CONDITIONS,
            ),
            Err(error) => Seen {
                mend: Some(WITHOUT_CONDITIONS.to_owned()),
                ..error.into()
            },
        }
    }

    async fn multipart(&self) -> Tried {
        let length = usize::try_from(self.origin.part_bytes()).unwrap_or(8 << 20) + 1000;
        let file = tempfile::NamedTempFile::new().and_then(|file| {
            std::fs::write(file.path(), pattern(length))?;
            Ok(file)
        });
        let file = match file {
            Ok(file) => file,
            Err(error) => {
                return Ok(Seen::failed(
                    format!("cannot write a temporary file: {error}"),
                    "make room where temporary files lie, or name another place with TMPDIR",
                ));
            }
        };
        let key = self.key("large.mp4");
        let written = self.origin.put_file(&key, file.path(), HEADERS).await?;
        let stored = self.origin.head(&key).await?;
        let tail = length as u64 - 1500..length as u64;
        let reading = self.origin.open_object(&key, Some(tail)).await?;
        let read: Vec<Bytes> = reading
            .stream
            .try_collect()
            .await
            .map_err(Error::of("read", &key))?;
        let whole = stored.is_some_and(|s| s.size_bytes == length as u64 && s.is(&written));
        Ok(
            if whole && read.concat() == pattern(length)[length - 1500..] {
                Seen::ok(format!("an object of {length} bytes was sent in two parts"))
            } else {
                Seen::failed(
                    "an object that was sent in parts is not what was sent",
                    "the store's multipart uploads are broken; raise origin.part_size above the largest object to go without them",
                )
            },
        )
    }

    async fn abort(&self) -> Tried {
        let key = self.key("given-up.mp4");
        let path = self.origin.path(&key)?;
        let part = usize::try_from(self.origin.part_bytes()).unwrap_or(8 << 20);
        let aborted = async {
            let mut upload = self.origin.inner.store.put_multipart(&path).await?;
            upload.put_part(pattern(part).into()).await?;
            upload.abort().await
        };
        aborted.await.map_err(Error::of("give up", &key))?;
        Ok(match self.origin.size(&key).await? {
            None => Seen::ok("a large object that is given up leaves nothing"),
            Some(_) => Seen::failed(
                "an upload that was given up has become an object",
                "the store's multipart uploads are broken; raise origin.part_size above the largest object to go without them",
            ),
        })
    }

    /// Whether uploads that a killed node began can be found again.
    async fn unfinished(&self) -> Tried {
        Ok(match self.origin.unfinished().await {
            Ok(UnfinishedList::Found(found)) => {
                Seen::ok(format!("{} unfinished uploads can be listed", found.len()))
            }
            Ok(UnfinishedList::ByTheStore(how)) => Seen::ok(how),
            Err(error) => Seen {
                outcome: Outcome::Warning,
                ..error.into()
            },
        })
    }

    async fn delete(&self) -> Tried {
        let list = self.origin.list(&self.folder).await?;
        let count = list.len();
        self.origin.delete_all(list.into_keys()).await?;
        let left = self.origin.list(&self.folder).await?;
        Ok(if left.is_empty() {
            Seen::ok(format!("{count} objects were removed"))
        } else {
            Seen::failed(
                format!(
                    "{} of {count} objects are still listed after they were removed",
                    left.len()
                ),
                "the store's lists must be consistent, and the bucket must not keep what is deleted (versions, holds)",
            )
        })
    }

    async fn delete_missing(&self) -> Tried {
        self.origin.delete(&self.key("never-was")).await?;
        Ok(Seen::ok("removing what is gone does no harm"))
    }
}

const WITHOUT_CONDITIONS: &str =
    "write conditional_put = \"none\" in [origin]: the cluster then decides alone who publishes";

#[cfg(test)]
mod tests {
    use super::*;

    async fn checked(url: &str, endpoint: &str, data: &FilePath) -> Report {
        let section = config::Origin {
            url: url.to_owned(),
            endpoint: endpoint.to_owned(),
            retries: 0,
            ..config::Origin::default()
        };
        let keys = |name: &str| name.starts_with("AWS_").then(|| "x".to_owned());
        run(&section, data, &keys, "https://page.example").await
    }

    #[tokio::test]
    async fn a_folder_passes_and_is_left_empty() {
        let data = tempfile::tempdir().unwrap();
        let report = checked("file://./origin", "auto", data.path()).await;
        assert_eq!(
            (report.failures(), report.warnings()),
            (0, 0),
            "{report:#?}"
        );
        assert!(report.steps.len() > 15);
        let left = walk(&data.path().join("origin"));
        assert!(left.is_empty(), "{left:?}");
    }

    fn walk(folder: &FilePath) -> Vec<std::path::PathBuf> {
        let entries = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        let (folders, mut files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
        files.extend(folders.iter().flat_map(|folder| walk(folder)));
        files
    }

    #[tokio::test]
    async fn a_store_that_is_away_is_said_once() {
        let data = tempfile::tempdir().unwrap();
        let report = checked("s3://films", "http://127.0.0.1:9", data.path()).await;
        assert_eq!(
            (report.steps.len(), report.failures()),
            (2, 1),
            "{report:#?}"
        );
        assert_eq!(report.class, Some(Class::Away));
        let mend = report.steps[1].mend.as_deref().unwrap_or_default();
        assert!(mend.contains("start the store"), "{report:#?}");
        let report = checked("s3://", "auto", data.path()).await;
        assert_eq!((report.steps[0].name, report.failures()), ("settings", 1));
    }
}
