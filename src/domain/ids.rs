//! Names and numbers of things, each a type of its own.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// From its text, as written in the configuration or the database.
            pub fn new(text: &str) -> Self {
                Self(Arc::from(text))
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self::new(text)
            }
        }
    };
}

name!(
    /// A person's short name, `anna.berg`: unique, stable, used in files and commands.
    PersonId
);
name!(
    /// A department's short name, `wholesale`.
    DepartmentId
);
name!(
    /// What a person may do, `operator`, `key_account_manager`. Each role is a group with a queue.
    Role
);
name!(
    /// A trunk's name in the configuration.
    TrunkId
);

/// A row of the client table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClientId(pub i64);

/// A person's place on the agent board: an index, stable while the server runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AgentId(pub u16);

impl AgentId {
    /// As an index into the board's tables.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// A queue of the board: groups first (`0..groups_max`), then one for each agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct QueueId(pub u16);

impl QueueId {
    /// As an index into the board's tables.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// A worker: it owns the legs and calls whose keys name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ShardId(pub u8);

impl ShardId {
    /// As an index into the board's tables.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// A call. Unique for ever: wall-clock seconds of the shard's start (32 bits), shard (8), count (24).
///
/// Written as 16 hexadecimal digits wherever people see it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallKey(u64);

impl CallKey {
    /// The `count`-th call of `shard` in the run that began at `started` (seconds since 1970).
    pub fn new(started: u32, shard: ShardId, count: u32) -> Self {
        Self(u64::from(started) << 32 | u64::from(shard.0) << 24 | u64::from(count & 0x00ff_ffff))
    }

    /// The shard that owns the call.
    pub fn shard(self) -> ShardId {
        ShardId((self.0 >> 24) as u8)
    }

    /// The bare number.
    pub fn as_u64(self) -> u64 {
        self.0
    }

    /// From what `Display` writes; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        (text.len() == 16).then(|| u64::from_str_radix(text, 16).ok().map(Self)).flatten()
    }
}

impl fmt::Display for CallKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for CallKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CallKey({self})")
    }
}

impl Serialize for CallKey {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for CallKey {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(from)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not a call key"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_key_survives_its_text() {
        let key = CallKey::new(0x6543_2100, ShardId(3), 77);
        assert_eq!(CallKey::parse(&key.to_string()), Some(key));
        assert_eq!(key.shard(), ShardId(3));
        assert_eq!(CallKey::parse("x"), None);
        assert_eq!(serde_json::to_string(&key).ok(), Some(format!("\"{key}\"")));
    }
}
