//! Why somebody is busy or gone, in words.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A reason: one of the product's own phrases, which a thousand people share at no cost, or one that was
/// made for the occasion.
#[derive(Clone)]
pub enum Reason {
    /// `on a call`.
    Own(&'static str),
    /// `absent (leave to 2026-03-04)`; what was read from JSON.
    Made(Arc<str>),
}

impl Deref for Reason {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Own(words) => words,
            Self::Made(words) => words,
        }
    }
}

impl PartialEq for Reason {
    fn eq(&self, other: &Self) -> bool {
        let (one, other): (&str, &str) = (self, other);
        std::ptr::eq(one, other) || one == other
    }
}

impl Eq for Reason {}

impl fmt::Debug for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

impl From<&'static str> for Reason {
    fn from(words: &'static str) -> Self {
        Self::Own(words)
    }
}

impl From<String> for Reason {
    fn from(words: String) -> Self {
        Self::Made(words.into())
    }
}

impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self)
    }
}

impl<'de> Deserialize<'de> for Reason {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Arc::<str>::deserialize(from).map(Self::Made)
    }
}
