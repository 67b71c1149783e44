//! Pure: who belongs to the cluster and what lies where: join tokens, admission, place, drain,
//! removal, copies of originals.

use bincode::{Decode, Encode};
use protocol::id::{BlobHash, NodeId, VideoId};
use protocol::time::{Span, Timestamp};

use super::Catalog;
use super::context::Context;
use super::limits;
use super::node::{Node, Role};
use super::outcome::{Rejection, Reply};
use super::video::Video;

/// Join tokens that are kept, used ones included.
const TOKENS_MAX: usize = 1_000;
/// A token that lapsed so long ago is forgotten.
const TOKEN_KEPT: Span = Span::from_secs(24 * 3600);
/// Longest address in bytes.
const ADDRESS_MAX_BYTES: usize = 255;

/// Changes to the cluster itself. Append only.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[repr(u8)]
pub enum ClusterCommand {
    /// Whoever knows the secret with this hash may join, once, until then.
    CreateToken {
        token: BlobHash,
        role: Role,
        expires_at: Timestamp,
    } = 0,
    /// A machine with a token gets its number. `key` is the hash of its public key.
    AdmitNode {
        token: BlobHash,
        key: BlobHash,
        name: String,
        site: String,
        address: String,
    } = 1,
    /// What the file says about a node.
    PlaceNode {
        node: NodeId,
        site: String,
        role: Role,
        address: String,
    } = 2,
    /// Gets no new work, or gets it again.
    DrainNode { node: NodeId, draining: bool } = 3,
    /// Is no member any more, and never again.
    RemoveNode { node: NodeId } = 4,
    /// The node has the original, and has computed its hash from its own disk.
    AddCopy {
        video: VideoId,
        blob: BlobHash,
        node: NodeId,
    } = 5,
    /// The node has lost the original, or it is damaged there.
    DropCopy {
        video: VideoId,
        blob: BlobHash,
        node: NodeId,
    } = 6,
}

/// A permission to join, known by the hash of its secret.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Token {
    pub hash: BlobHash,
    pub role: Role,
    pub expires_at: Timestamp,
    pub used_by: Option<TokenUse>,
}

/// Who used a token; the same machine may ask again if it did not hear the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct TokenUse {
    pub node: NodeId,
    pub key: BlobHash,
}

/// A machine as the file has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    pub name: String,
    pub site: String,
    pub role: Role,
    pub address: String,
}

/// A difference between the file and the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// The node is to be placed as the file says.
    Place {
        name: String,
        node: NodeId,
        wanted: Wanted,
        before: Role,
    },
    /// The file has a machine that has not joined.
    NotJoined { name: String },
    /// The cluster has a node that the file does not.
    NotInFile { name: String },
}

/// What differs between `wanted` and the nodes of the cluster.
pub fn differences(catalog: &Catalog, wanted: &[Wanted]) -> Vec<Difference> {
    let mut found = Vec::new();
    for machine in wanted {
        let name = machine.name.clone();
        match catalog.members().find(|node| node.name == machine.name) {
            None => found.push(Difference::NotJoined { name }),
            Some(node)
                if node.role != machine.role
                    || node.site != machine.site
                    || node.address != machine.address =>
            {
                found.push(Difference::Place {
                    name,
                    node: node.id,
                    wanted: machine.clone(),
                    before: node.role,
                });
            }
            Some(_) => {}
        }
    }
    let is_wanted = |node: &Node| wanted.iter().any(|machine| machine.name == node.name);
    for node in catalog.members().filter(|node| !is_wanted(node)) {
        let name = node.name.clone();
        found.push(Difference::NotInFile { name });
    }
    found
}

impl Catalog {
    /// Nodes that have not been removed.
    pub fn members(&self) -> impl Iterator<Item = &Node> {
        self.nodes
            .values()
            .map(AsRef::as_ref)
            .filter(|node| node.removed_at.is_none())
    }

    pub fn tokens(&self) -> impl Iterator<Item = &Token> {
        self.tokens.values()
    }

    /// Videos whose only copy of the original lies on `node`.
    pub fn sole_copies(&self, node: NodeId) -> usize {
        self.videos
            .values()
            .filter(|video| video.copies == [node])
            .count()
    }

    pub(super) fn change_cluster(
        &mut self,
        context: &mut Context,
        command: ClusterCommand,
    ) -> Result<Reply, Rejection> {
        match command {
            ClusterCommand::CreateToken {
                token,
                role,
                expires_at,
            } => self.create_token(context, token, role, expires_at),
            ClusterCommand::AdmitNode {
                token,
                key,
                name,
                site,
                address,
            } => {
                let wanted = Wanted {
                    name,
                    site,
                    role: Role::Learner,
                    address,
                };
                self.admit_node(context, token, key, wanted)
            }
            ClusterCommand::PlaceNode {
                node,
                site,
                role,
                address,
            } => self.place_node(context, node, site, role, address),
            ClusterCommand::DrainNode { node, draining } => {
                let mut node = self.member_or_refuse(node)?;
                if node.draining == draining {
                    return Ok(Reply::Already);
                }
                node.draining = draining;
                self.put_node(context, node);
                Ok(Reply::Done)
            }
            ClusterCommand::RemoveNode { node } => self.remove_node(context, node),
            ClusterCommand::AddCopy { video, blob, node } => {
                self.member_or_refuse(node)?;
                let mut video = self.video_with_blob(video, blob)?;
                if video.copies.contains(&node) {
                    return Ok(Reply::Already);
                }
                video.copies.push(node);
                video.copies.sort_unstable();
                self.put_video(context, video);
                Ok(Reply::Done)
            }
            ClusterCommand::DropCopy { video, blob, node } => {
                let mut video = self.video_with_blob(video, blob)?;
                if video.copies == [node] {
                    return Err(Rejection::WrongState {
                        what: format!("the copy of video {} on node {node}", video.id),
                        state: "the last one".to_owned(),
                    });
                }
                video.copies.retain(|&holder| holder != node);
                self.put_video(context, video);
                Ok(Reply::Done)
            }
        }
    }

    fn create_token(
        &mut self,
        context: &Context,
        hash: BlobHash,
        role: Role,
        expires_at: Timestamp,
    ) -> Result<Reply, Rejection> {
        self.tokens
            .retain(|_, token| token.expires_at + TOKEN_KEPT > context.at);
        limits::at_most(
            "the number of join tokens",
            self.tokens.len() as u64 + 1,
            TOKENS_MAX as u64,
        )?;
        if self.tokens.contains_key(&hash) {
            return Ok(Reply::Already);
        }
        let token = Token {
            hash,
            role,
            expires_at,
            used_by: None,
        };
        self.tokens.insert(hash, token);
        Ok(Reply::Done)
    }

    fn admit_node(
        &mut self,
        context: &mut Context,
        token: BlobHash,
        key: BlobHash,
        wanted: Wanted,
    ) -> Result<Reply, Rejection> {
        let refused = |state: &str| Rejection::WrongState {
            what: "the join token".to_owned(),
            state: state.to_owned(),
        };
        let known = self.tokens.get(&token).ok_or_else(|| Rejection::NotFound {
            what: "such join token; make one with `reelmesh token create` on a node of the cluster"
                .to_owned(),
        })?;
        if let Some(used) = known.used_by {
            return if used.key == key {
                Ok(Reply::NodeAdmitted {
                    node: used.node,
                    role: known.role,
                })
            } else {
                Err(refused("used; each is good for one machine, make another"))
            };
        }
        if known.expires_at <= context.at {
            return Err(refused("expired; make another"));
        }
        let role = known.role;
        check_address(&wanted.address)?;
        self.check_name(&wanted.name, None)?;
        limits::at_most(
            "the number of nodes",
            self.nodes.len() as u64 + 1,
            limits::NODES_MAX as u64,
        )?;
        // Nodes are never forgotten, so no number is given out twice.
        let last = self.nodes.keys().next_back().map_or(0, |id| id.0);
        let node = NodeId(last + 1);
        if let Some(token) = self.tokens.get_mut(&token) {
            token.used_by = Some(TokenUse { node, key });
        }
        let mut record = Node::admitted(node, role, context.at);
        record.name = wanted.name;
        record.site = wanted.site;
        record.address = wanted.address;
        record.bound();
        self.put_node(context, record);
        Ok(Reply::NodeAdmitted { node, role })
    }

    fn place_node(
        &mut self,
        context: &mut Context,
        node: NodeId,
        site: String,
        role: Role,
        address: String,
    ) -> Result<Reply, Rejection> {
        let before = self.member_or_refuse(node)?;
        check_address(&address)?;
        let mut after = before.clone();
        after.site = site;
        after.role = role;
        after.address = address;
        after.bound();
        if after == before {
            return Ok(Reply::Already);
        }
        let is_voter = |node: &Node| node.role == Role::Voter;
        if is_voter(&before)
            && !is_voter(&after)
            && self.members().filter(|n| is_voter(n)).count() == 1
        {
            return Err(Rejection::WrongState {
                what: format!("node {}", before.name),
                state: "the last voter; make another node a voter first".to_owned(),
            });
        }
        self.put_node(context, after);
        Ok(Reply::Done)
    }

    fn remove_node(&mut self, context: &mut Context, id: NodeId) -> Result<Reply, Rejection> {
        let Some(node) = self.nodes.get(&id) else {
            return Err(not_found(id));
        };
        if node.removed_at.is_some() {
            return Ok(Reply::Already);
        }
        let sole = self.sole_copies(id);
        if sole > 0 {
            return Err(Rejection::WrongState {
                what: format!("node {}", node.name),
                state: format!(
                    "the only one that holds the originals of {sole} videos (drain it and wait until they are copied)"
                ),
            });
        }
        if node.role == Role::Voter && self.members().filter(|n| n.role == Role::Voter).count() == 1
        {
            return Err(Rejection::WrongState {
                what: format!("node {}", node.name),
                state: "the last voter; make another node a voter first".to_owned(),
            });
        }
        let mut node = (**node).clone();
        node.removed_at = Some(context.at);
        self.clear_all_strikes(node.id);
        node.draining = true;
        self.put_node(context, node);
        let held: Vec<Video> = (self.videos.values())
            .filter(|video| video.copies.contains(&id))
            .map(|video| (**video).clone())
            .collect();
        for mut video in held {
            video.copies.retain(|&holder| holder != id);
            self.put_video(context, video);
        }
        Ok(Reply::Done)
    }

    /// The name must be free among the members, `except` itself.
    pub(super) fn check_name(&self, name: &str, except: Option<NodeId>) -> Result<(), Rejection> {
        if name.is_empty() {
            return Err(Rejection::WrongState {
                what: "the node's name".to_owned(),
                state: "empty".to_owned(),
            });
        }
        match self
            .members()
            .find(|node| node.name == name && Some(node.id) != except)
        {
            None => Ok(()),
            Some(other) => Err(Rejection::WrongState {
                what: format!("the name {name:?}"),
                state: format!(
                    "taken by node {}; give this machine another name, or remove the other with `reelmesh nodes remove {name}`",
                    other.id
                ),
            }),
        }
    }

    fn member_or_refuse(&self, id: NodeId) -> Result<Node, Rejection> {
        match self.nodes.get(&id) {
            Some(node) if node.removed_at.is_none() => Ok((**node).clone()),
            _ => Err(not_found(id)),
        }
    }

    fn video_with_blob(&self, id: VideoId, blob: BlobHash) -> Result<Video, Rejection> {
        let video = self.video_or_refuse(id)?;
        if video.blob != Some(blob) {
            return Err(Rejection::WrongState {
                what: format!("video {id}"),
                state: "of another original".to_owned(),
            });
        }
        Ok(video)
    }
}

fn not_found(id: NodeId) -> Rejection {
    Rejection::NotFound {
        what: format!("node {id} in the cluster"),
    }
}

fn check_address(address: &str) -> Result<(), Rejection> {
    limits::at_most(
        "the address's number of bytes",
        address.len() as u64,
        ADDRESS_MAX_BYTES as u64,
    )
}

#[cfg(test)]
mod tests {
    use super::super::invariant;
    use super::super::{Command, Stamp};
    use super::*;

    struct World {
        catalog: Catalog,
        index: u64,
    }

    impl World {
        fn at(&mut self, millis: i64, command: ClusterCommand) -> Result<Reply, Rejection> {
            self.index += 1;
            let stamp = Stamp {
                index: self.index,
                sequence: 0,
                at: Timestamp::from_millis(millis),
            };
            let reply = self.catalog.apply(stamp, Command::Cluster(command)).reply;
            assert_eq!(invariant::check(&self.catalog), Vec::new());
            reply
        }
    }

    fn world() -> World {
        let mut catalog = Catalog::default();
        let mut founder = Node::admitted(NodeId(1), Role::Voter, Timestamp::default());
        founder.name = "a".to_owned();
        catalog.load_node(founder);
        World { catalog, index: 0 }
    }

    fn token(number: u8) -> BlobHash {
        BlobHash::of(&[number])
    }

    fn create(number: u8, role: Role) -> ClusterCommand {
        ClusterCommand::CreateToken {
            token: token(number),
            role,
            expires_at: Timestamp::from_millis(1000),
        }
    }

    fn admit(number: u8, key: u8, name: &str) -> ClusterCommand {
        ClusterCommand::AdmitNode {
            token: token(number),
            key: BlobHash::of(&[100, key]),
            name: name.to_owned(),
            site: "here".to_owned(),
            address: "127.0.0.1:1".to_owned(),
        }
    }

    fn text(reply: Result<Reply, Rejection>) -> String {
        reply.expect_err("refused").to_string()
    }

    #[test]
    fn a_token_lets_one_machine_in_once() {
        let mut world = world();
        world.at(1, create(1, Role::Voter)).expect("made");
        let admitted = Ok(Reply::NodeAdmitted {
            node: NodeId(2),
            role: Role::Voter,
        });
        assert_eq!(world.at(2, admit(1, 1, "b")), admitted);
        assert_eq!(world.at(3, admit(1, 1, "b")), admitted, "it asks again");
        assert!(text(world.at(4, admit(1, 2, "c"))).contains("used"));
        assert!(text(world.at(5, admit(9, 2, "c"))).contains("token create"));
        world.at(6, create(2, Role::Worker)).expect("made");
        assert!(text(world.at(7, admit(2, 2, "b"))).contains("taken by node 2"));
        assert!(text(world.at(2000, admit(2, 2, "c"))).contains("expired"));
    }

    #[test]
    fn a_number_is_never_given_out_again() {
        let mut world = world();
        for (number, name) in [(1, "b"), (2, "b"), (3, "b")] {
            world.at(1, create(number, Role::Learner)).expect("made");
            let admitted = world.at(2, admit(number, number, name));
            let node = NodeId(u64::from(number) + 1);
            assert_eq!(
                admitted,
                Ok(Reply::NodeAdmitted {
                    node,
                    role: Role::Learner
                })
            );
            world
                .at(3, ClusterCommand::RemoveNode { node })
                .expect("removed");
        }
        assert_eq!(world.catalog.members().count(), 1);
    }

    #[test]
    fn the_last_voter_stays() {
        let mut world = world();
        let node = NodeId(1);
        let place = ClusterCommand::PlaceNode {
            node,
            site: String::new(),
            role: Role::Learner,
            address: String::new(),
        };
        assert!(text(world.at(1, place)).contains("last voter"));
        assert!(text(world.at(1, ClusterCommand::RemoveNode { node })).contains("last voter"));
    }

    #[test]
    fn the_file_and_the_cluster_are_compared_by_name() {
        let mut world = world();
        world.at(1, create(1, Role::Learner)).expect("made");
        world.at(2, admit(1, 1, "b")).expect("admitted");
        let wanted = |name: &str, role| Wanted {
            name: name.to_owned(),
            site: "here".to_owned(),
            role,
            address: "127.0.0.1:1".to_owned(),
        };
        let file = [wanted("b", Role::Voter), wanted("c", Role::Voter)];
        let found = differences(&world.catalog, &file);
        assert!(matches!(
            &found[..],
            [
                Difference::Place { node: NodeId(2), before: Role::Learner, .. },
                Difference::NotJoined { name: c },
                Difference::NotInFile { name: a },
            ] if c == "c" && a == "a"
        ));
    }
}
