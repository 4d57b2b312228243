//! Threads that calls do not wait for run only where nobody else wants the processor.

use thread_priority::{
    NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id,
};

/// From now on this thread gives way to every other at once (Linux: SCHED_IDLE). Without privileges
/// there is no way back: a thread that may fall behind lets another one do this.
pub(super) fn step_aside() {
    let idle = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
    let done = set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, idle);
    if let Err(error) = done {
        // It works all the same; calls may wait for it now and then.
        tracing::debug!(?error, "the system gives this thread the same share as all others");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_steps_aside_does_it_alone() {
        let aside = std::thread::spawn(|| {
            step_aside();
            thread_priority::thread_schedule_policy().expect("a policy")
        });
        let idle = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
        assert_eq!(aside.join().expect("no panic"), idle);
        assert_ne!(thread_priority::thread_schedule_policy().expect("a policy"), idle);
    }
}
