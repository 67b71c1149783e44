//! Keys for S3 from the file that other tools share, `~/.aws/credentials`.
//!
//! Everything else (environment, web identity, container and instance metadata) is `object_store`'s.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use object_store::CredentialProvider;
use object_store::aws::AwsCredential;

/// Largest file that is read.
const BYTES_MAX: u64 = 1 << 20;

/// The file is looked at again after this long, since other tools renew what is in it.
const FRESH: Duration = Duration::from_secs(30);

/// The keys of one profile.
#[derive(Debug)]
pub(super) struct SharedFile {
    path: PathBuf,
    profile: String,
    read: Mutex<(Instant, Arc<AwsCredential>)>,
}

impl SharedFile {
    /// The profile in the file, if there is one with keys.
    pub(super) fn open(path: &Path, profile: &str) -> Option<Self> {
        let keys = Arc::new(read(path, profile)?);
        Some(Self {
            path: path.to_owned(),
            profile: profile.to_owned(),
            read: Mutex::new((Instant::now(), keys)),
        })
    }
}

impl CredentialProvider for SharedFile {
    type Credential = AwsCredential;

    fn get_credential<'life0, 'async_trait>(
        &'life0 self,
    ) -> BoxFuture<'async_trait, object_store::Result<Arc<AwsCredential>>>
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        Box::pin(async move {
            // Nothing in between can panic.
            let mut standing = self.read.lock().unwrap_or_else(PoisonError::into_inner);
            if standing.0.elapsed() > FRESH {
                // Caught while it is written, the keys from before are the better guess.
                let keys = read(&self.path, &self.profile).map(Arc::new);
                let keys = keys.unwrap_or_else(|| Arc::clone(&standing.1));
                *standing = (Instant::now(), keys);
            }
            Ok(Arc::clone(&standing.1))
        })
    }
}

fn read(path: &Path, profile: &str) -> Option<AwsCredential> {
    let size = std::fs::metadata(path).ok()?.len();
    let text = (size <= BYTES_MAX).then(|| std::fs::read_to_string(path).ok())??;
    parse(&text, profile)
}

fn parse(text: &str, profile: &str) -> Option<AwsCredential> {
    let (mut inside, mut key_id, mut secret_key, mut token) = (false, None, None, None);
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
            inside = name.trim() == profile;
            continue;
        }
        let Some((key, value)) = line.split_once('=').filter(|_| inside) else {
            continue;
        };
        let value = Some(value.trim().to_owned()).filter(|value| !value.is_empty());
        match key.trim() {
            "aws_access_key_id" => key_id = value,
            "aws_secret_access_key" => secret_key = value,
            "aws_session_token" => token = value,
            _ => {}
        }
    }
    Some(AwsCredential {
        key_id: key_id?,
        secret_key: secret_key?,
        token,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_named_profile_counts() {
        let text = "# mine\n[default]\naws_access_key_id = A\naws_secret_access_key=B=\n\n[other]\naws_access_key_id=C\naws_secret_access_key = D\naws_session_token = E\n[half]\naws_access_key_id = F\n";
        let found =
            |profile| parse(text, profile).map(|keys| (keys.key_id, keys.secret_key, keys.token));
        let own = |a: &str, b: &str, c: Option<&str>| {
            Some((a.to_owned(), b.to_owned(), c.map(str::to_owned)))
        };
        assert_eq!(found("default"), own("A", "B=", None));
        assert_eq!(found("other"), own("C", "D", Some("E")));
        assert_eq!(found("half"), None);
        assert_eq!(found("none"), None);
    }
}
