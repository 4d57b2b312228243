//! Stops a thread wherever it is, in the middle of whatever it does, as a busy machine does: a signal
//! whose handler sleeps.
#![allow(unsafe_code)]

use std::sync::Mutex;
use std::time::Duration;

/// How long a stopped thread sleeps.
pub const STALL: Duration = Duration::from_secs(1);

/// The first thread, and the writer of the design that has one.
static THREADS: Mutex<[Option<libc::pthread_t>; 2]> = Mutex::new([None, None]);

/// Which thread is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Victim {
    /// The first of those that own calls.
    First,
    /// The single writer.
    Writer,
}

extern "C" fn sleep(_: libc::c_int) {
    let span = libc::timespec { tv_sec: STALL.as_secs() as libc::time_t, tv_nsec: 0 };
    // SAFETY: nanosleep may be called in a signal's handler; the pointers are valid or null.
    unsafe { libc::nanosleep(&span, std::ptr::null_mut()) };
}

/// This thread may be stopped as the first.
pub fn enlist_first() {
    enlist(0);
}

/// This thread may be stopped as the writer.
pub fn enlist_writer() {
    enlist(1);
}

fn enlist(place: usize) {
    // SAFETY: the handler calls nothing that may not be called in one; it is set before any signal.
    let this = unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = sleep as *const () as usize;
        action.sa_flags = libc::SA_RESTART;
        libc::sigaction(libc::SIGUSR1, &action, std::ptr::null_mut());
        libc::pthread_self()
    };
    THREADS.lock().expect("nobody panics with it")[place] = Some(this);
}

/// Stops the victim now. Its thread must not have ended.
pub fn stop(victim: Victim) {
    let threads = THREADS.lock().expect("nobody panics with it");
    if let Some(thread) = threads[usize::from(victim == Victim::Writer)] {
        // SAFETY: the thread runs until the driver joins it, which is after the last stop.
        unsafe { libc::pthread_kill(thread, libc::SIGUSR1) };
    }
}
