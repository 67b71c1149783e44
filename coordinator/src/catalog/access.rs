//! Pure: API tokens: who may use the API, and how much each may keep in the cluster.

use bincode::{Decode, Encode};
use protocol::id::{BlobHash, NodeId, UploadId, VideoId};
use protocol::time::Timestamp;
use protocol::upload::FileKey;

use super::Catalog;
use super::context::Context;
use super::limits;
use super::outcome::{Rejection, Reply};
use super::upload::Opening;

/// Tokens there may be.
const TOKENS_MAX: usize = 10_000;
/// Longest name of a token in characters.
const NAME_MAX_CHARS: usize = 100;

/// Changes to who may use the API. Append only.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[repr(u8)]
pub enum AccessCommand {
    /// Whoever knows the secret with this hash may use the API.
    CreateToken {
        token: BlobHash,
        name: String,
        /// Bytes of originals that it may keep; without limit if none.
        quota_bytes: Option<u64>,
    } = 0,
    /// The token is worth nothing from now on. What came with it stays.
    RevokeToken { name: String } = 1,
    /// Gives a token another quota. What is there already stays.
    SetQuota {
        name: String,
        quota_bytes: Option<u64>,
    } = 2,
    /// As `OpenUpload`, counted against a token.
    OpenUpload {
        token: BlobHash,
        upload: UploadId,
        video: VideoId,
        filename: String,
        size_bytes: u64,
        node: NodeId,
        /// Of the file, so that any node finds the upload again.
        key: Option<FileKey>,
    } = 3,
}

/// A permission to use the API, known by the hash of its secret.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct ApiToken {
    pub hash: BlobHash,
    /// For people; unique.
    pub name: String,
    pub quota_bytes: Option<u64>,
    /// Bytes of the originals that came with it and are here or on their way.
    pub used_bytes: u64,
    pub created_at: Timestamp,
}

impl ApiToken {
    /// Bytes that may still come.
    pub fn left_bytes(&self) -> u64 {
        self.quota_bytes
            .map_or(u64::MAX, |quota| quota.saturating_sub(self.used_bytes))
    }
}

/// What one video counts, and against whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Charge {
    pub video: VideoId,
    pub token: BlobHash,
    pub size_bytes: u64,
}

impl Catalog {
    pub(super) fn change_access(
        &mut self,
        context: &mut Context,
        command: AccessCommand,
    ) -> Result<Reply, Rejection> {
        match command {
            AccessCommand::CreateToken {
                token,
                name,
                quota_bytes,
            } => self.create_api_token(context, token, name, quota_bytes),
            AccessCommand::RevokeToken { name } => {
                let token = self.named_token(&name)?.hash;
                self.api_tokens.remove(&token);
                self.charges.retain(|_, charge| charge.token != token);
                Ok(Reply::Done)
            }
            AccessCommand::SetQuota { name, quota_bytes } => {
                let hash = self.named_token(&name)?.hash;
                if let Some(token) = self.api_tokens.get_mut(&hash) {
                    token.quota_bytes = quota_bytes;
                }
                Ok(Reply::Done)
            }
            AccessCommand::OpenUpload {
                token,
                upload,
                video,
                filename,
                size_bytes,
                node,
                key,
            } => {
                let opening = Opening {
                    upload,
                    video,
                    filename,
                    size_bytes,
                    node,
                    key,
                };
                self.open_charged(context, token, opening)
            }
        }
    }

    fn create_api_token(
        &mut self,
        context: &Context,
        hash: BlobHash,
        name: String,
        quota_bytes: Option<u64>,
    ) -> Result<Reply, Rejection> {
        if self
            .api_tokens
            .get(&hash)
            .is_some_and(|token| token.name == name)
        {
            return Ok(Reply::Already);
        }
        if name.trim().is_empty() || name.chars().any(char::is_control) {
            return Err(Rejection::WrongState {
                what: "the token's name".to_owned(),
                state: "empty or not printable".to_owned(),
            });
        }
        let count = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
        limits::at_most(
            "the token's name's number of characters",
            count(name.chars().count()),
            count(NAME_MAX_CHARS),
        )?;
        limits::at_most(
            "the number of API tokens",
            count(self.api_tokens.len() + 1),
            count(TOKENS_MAX),
        )?;
        if self.api_tokens.contains_key(&hash) || self.named_token(&name).is_ok() {
            return Err(Rejection::Exists {
                what: format!("API token {name:?}"),
            });
        }
        let token = ApiToken {
            hash,
            name,
            quota_bytes,
            used_bytes: 0,
            created_at: context.at,
        };
        self.api_tokens.insert(hash, token);
        Ok(Reply::Done)
    }

    fn open_charged(
        &mut self,
        context: &mut Context,
        hash: BlobHash,
        opening: Opening,
    ) -> Result<Reply, Rejection> {
        if self.upload(opening.upload).is_some() {
            // A repeated command: it is charged already.
            return self.open_upload(context, opening);
        }
        if opening
            .key
            .is_some_and(|key| self.upload_by_key(&key).is_some())
        {
            return Err(Rejection::Exists {
                what: "an upload of this very file".to_owned(),
            });
        }
        let token = self.api_tokens.get(&hash);
        let token = token.ok_or_else(|| Rejection::NotFound {
            what: "API token".to_owned(),
        })?;
        let (video, size_bytes) = (opening.video, opening.size_bytes);
        let used_bytes = token.used_bytes.saturating_add(size_bytes);
        if let Some(quota_bytes) = token.quota_bytes {
            limits::at_most(
                &format!("what API token {:?} keeps in bytes", token.name),
                used_bytes,
                quota_bytes,
            )?;
        }
        let reply = self.open_upload(context, opening)?;
        self.load_charge(Charge {
            video,
            token: hash,
            size_bytes,
        });
        Ok(reply)
    }

    /// Counts a video against its token.
    pub(super) fn load_charge(&mut self, charge: Charge) {
        if let Some(token) = self.api_tokens.get_mut(&charge.token) {
            token.used_bytes = token.used_bytes.saturating_add(charge.size_bytes);
            self.charges.insert(charge.video, charge);
        }
    }

    /// A video that is gone counts no more.
    pub(super) fn release_charge(&mut self, video: VideoId) {
        if let Some(charge) = self.charges.remove(&video)
            && let Some(token) = self.api_tokens.get_mut(&charge.token)
        {
            token.used_bytes = token.used_bytes.saturating_sub(charge.size_bytes);
        }
    }

    fn named_token(&self, name: &str) -> Result<&ApiToken, Rejection> {
        self.api_tokens()
            .find(|token| token.name == name)
            .ok_or_else(|| Rejection::NotFound {
                what: format!("API token {name:?}"),
            })
    }

    /// The token whose secret has this hash.
    pub fn api_token(&self, hash: &BlobHash) -> Option<&ApiToken> {
        self.api_tokens.get(hash)
    }

    pub fn api_tokens(&self) -> impl Iterator<Item = &ApiToken> {
        self.api_tokens.values()
    }

    /// The token that a video counts against.
    pub fn owner(&self, video: VideoId) -> Option<BlobHash> {
        self.charges.get(&video).map(|charge| charge.token)
    }

    pub fn charges(&self) -> impl Iterator<Item = &Charge> {
        self.charges.values()
    }
}
