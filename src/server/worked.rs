//! What people did today before this start, for the orders that go by it (fewest calls, least talk
//! time): read from the register once it has all that the journal had.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::hub::Hub;
use crate::acd::Counts;
use crate::domain::PersonId;
use crate::store::register::Register;
use crate::switch::Input;

impl Hub {
    /// Tells worker 0. What cannot be read counts for nothing.
    pub(super) fn count_today(&self, register: &Path) {
        let read = Register::read(register).and_then(|r| r.answered_before(self.started_at));
        let answered = match read {
            Ok(answered) => answered,
            Err(error) => return tracing::warn!(%error, "calls of today are counted from now"),
        };
        let now = self.clock.wall();
        let directory = self.current.directory.load();
        let mut people: BTreeMap<PersonId, Counts> = BTreeMap::new();
        for (who, at, talk) in answered {
            let person = directory.agent(&who).and_then(|agent| directory.person(agent));
            let Some(person) = person else { continue };
            if directory.local_day(person, at) == directory.local_day(person, now) {
                let counts = people.entry(who).or_default();
                counts.calls += 1;
                counts.talk += Duration::from_micros(talk);
            }
        }
        if !people.is_empty() {
            self.inboxes[0].push(Input::Worked(people.into_iter().collect()));
        }
    }
}
