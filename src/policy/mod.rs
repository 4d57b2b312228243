//! The documented policy as code: raw configuration → checked `Policy` → `decide`, pure.
//! Knows no SIP.

mod plan;

pub use plan::{
    Candidate, Decision, Ending, Explanation, FactShown, Facts, IndexState, Plan, Presence,
    RuleTried, Step,
};
