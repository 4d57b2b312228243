//! Which worker owns what. One owner per leg and per call, one home per agent (I8).

use crate::call::{bucket, hashed};
use crate::domain::{AgentId, Directory, ShardId};
use crate::sip::{Message, Method, NameAddr, Uri};

/// The shard of a message: a REGISTER's by its address of record, everything else's by its Call-ID.
pub fn shard_of(message: &Message, shards: u16, key: &[u8; 16]) -> ShardId {
    let bucket = match message.method() {
        Method::Register => hashed(key, &registered_user(message)),
        _ => bucket(key, message.call_id()),
    };
    of_bucket(bucket, shards)
}

/// The shard that keeps an agent's slow state: that of their phones' REGISTERs.
pub fn home_of(directory: &Directory, agent: AgentId, shards: u16, key: &[u8; 16]) -> ShardId {
    let person = directory.person(agent);
    let name = person.map(|p| p.sip_user.as_deref().unwrap_or(p.id.as_str())).unwrap_or_default();
    of_bucket(hashed(key, name), shards)
}

fn of_bucket(bucket: u16, shards: u16) -> ShardId {
    ShardId((bucket % shards.max(1)) as u8)
}

/// Whose address a REGISTER is about; anything for one that is malformed.
fn registered_user(message: &Message) -> String {
    let to = message.to().map(|to: NameAddr<'_>| to.uri.to_owned()).unwrap_or_default();
    Uri::parse(&to).map(|uri| uri.user_decoded().into_owned()).unwrap_or_default()
}
