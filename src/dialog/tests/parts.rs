//! 2xx until the ACK, ACKs kept, probing: in virtual time.

use std::time::Duration;

use super::super::{ACKS_MAX, Accepted, AcceptedUas, AckStore, Probe, SILENCES_MAX, Verdict};
use super::*;
use crate::domain::Moment;
use crate::transaction::TransactionTimers;

const START: Moment = Moment::from_millis(1_000);
const MINUTE: Duration = Duration::from_secs(60);

fn timers() -> TransactionTimers {
    TransactionTimers::default()
}

fn started() -> AcceptedUas {
    AcceptedUas::start(START, 7, Bytes::from_static(b"200"), udp(), &timers())
}

/// What it does until it wants nothing more: milliseconds since the start, given up or not.
fn run(accepted: &mut AcceptedUas) -> Vec<(u64, bool)> {
    let mut done = Vec::new();
    while accepted.poll_timeout() != Moment::NEVER {
        let now = accepted.poll_timeout();
        let after = u64::try_from(now.since(START).as_millis()).expect("small");
        match accepted.handle_timeout(now).expect("something was due") {
            Accepted::Resend { flow, bytes } => {
                assert_eq!((flow, &bytes[..]), (udp(), &b"200"[..]));
                done.push((after, false));
            }
            Accepted::GaveUp => done.push((after, true)),
        }
    }
    done
}

#[test]
fn a_2xx_is_repeated_until_the_caller_cannot_be_there_any_more() {
    let times = [500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500];
    let mut expected: Vec<_> = times.map(|at| (at, false)).to_vec();
    expected.push((32_000, true));
    let mut accepted = started();
    assert_eq!(run(&mut accepted), expected);
    assert!(!accepted.is_waiting() && !accepted.ack(7));
}

#[test]
fn the_ack_of_its_own_invite_ends_the_repetition() {
    let mut accepted = started();
    assert_eq!(accepted.handle_timeout(START), None);
    assert!(!accepted.ack(6), "another INVITE's");
    assert!(accepted.is_waiting());
    assert!(accepted.ack(7));
    assert!(!accepted.ack(7), "a repeated ACK is no news");
    assert_eq!(accepted.poll_timeout(), Moment::NEVER);
    assert_eq!(run(&mut accepted), []);
}

#[test]
fn a_late_look_at_the_clock_repeats_once_and_gives_up_once() {
    let mut accepted = started();
    let late = START + Duration::from_secs(20);
    assert!(matches!(accepted.handle_timeout(late), Some(Accepted::Resend { .. })));
    assert_eq!(accepted.handle_timeout(late), None);
    let later = START + Duration::from_secs(50);
    assert_eq!(accepted.handle_timeout(later), Some(Accepted::GaveUp));
    assert_eq!(accepted.handle_timeout(later), None);
}

#[test]
fn a_repeated_2xx_gets_the_same_ack_for_32_s() {
    let mut acks = AckStore::new(&timers());
    assert_eq!(acks.again(41), None);
    acks.keep(START, 41, udp(), Bytes::from_static(b"ACK 41"));
    acks.keep(START + Duration::from_secs(1), 42, udp(), Bytes::from_static(b"ACK 42"));
    assert_eq!(acks.again(41), Some((udp(), Bytes::from_static(b"ACK 41"))));
    assert_eq!(acks.again(43), None);
    assert_eq!(acks.poll_timeout(), START + Duration::from_secs(32));
    acks.handle_timeout(acks.poll_timeout());
    assert_eq!(acks.again(41), None);
    assert!(acks.again(42).is_some());
    acks.handle_timeout(acks.poll_timeout());
    assert!(acks.is_empty());
    assert_eq!(acks.poll_timeout(), Moment::NEVER);
}

#[test]
fn a_newer_ack_of_the_same_invite_replaces_the_older_and_their_number_is_bounded() {
    let mut acks = AckStore::new(&timers());
    acks.keep(START, 1, udp(), Bytes::from_static(b"old"));
    acks.keep(START, 1, udp(), Bytes::from_static(b"new"));
    assert_eq!(acks.again(1).map(|(_, bytes)| bytes), Some(Bytes::from_static(b"new")));
    let last = u32::try_from(ACKS_MAX).expect("small") + 1;
    (2..=last).for_each(|cseq| acks.keep(START, cseq, udp(), Bytes::new()));
    assert_eq!(acks.again(1), None);
    assert!((2..=last).all(|cseq| acks.again(cseq).is_some()));
}

#[test]
fn a_peer_that_answers_is_asked_each_minute() {
    let mut probe = Probe::new(START, MINUTE);
    assert!(!probe.handle_timeout(START));
    for nth in 1..=5 {
        let now = probe.poll_timeout();
        assert_eq!(now, START + MINUTE * nth);
        assert!(probe.handle_timeout(now));
        assert_eq!(probe.poll_timeout(), Moment::NEVER, "an answer is awaited");
        assert_eq!(probe.answered(100), Verdict::Alive);
        assert_eq!(probe.poll_timeout(), Moment::NEVER);
        assert_eq!(probe.answered([200, 501, 405, 503, 486][nth as usize - 1]), Verdict::Alive);
    }
}

#[test]
fn a_peer_that_has_lost_the_dialog_is_dead_at_once() {
    for status in [408, 481] {
        let mut probe = Probe::new(START, MINUTE);
        assert!(probe.handle_timeout(START + MINUTE));
        assert_eq!(probe.answered(status), Verdict::Dead);
    }
}

#[test]
fn three_silences_in_a_row_are_death_and_a_word_in_between_is_life() {
    let mut probe = Probe::new(START, MINUTE);
    let mut ask = |silent: bool| {
        let now = probe.poll_timeout();
        assert!(probe.handle_timeout(now));
        if silent { probe.silent() } else { probe.answered(200) }
    };
    let heard = [true, true, false, true, true].map(&mut ask);
    assert_eq!(heard, [Verdict::Alive; 5]);
    assert_eq!(ask(true), Verdict::Dead);
    assert_eq!(SILENCES_MAX, 3);
}

#[test]
fn a_request_of_the_peer_is_as_good_as_an_answer() {
    let mut probe = Probe::new(START, MINUTE);
    for _ in 0..2 {
        assert!(probe.handle_timeout(probe.poll_timeout()));
        assert_eq!(probe.silent(), Verdict::Alive);
    }
    let now = START + MINUTE * 2 + Duration::from_secs(33);
    probe.heard(now);
    assert_eq!(probe.poll_timeout(), now + MINUTE);
    assert!(probe.handle_timeout(now + MINUTE));
    assert_eq!(probe.silent(), Verdict::Alive);
}

#[test]
fn probing_can_be_switched_off() {
    let mut probe = Probe::new(START, Duration::ZERO);
    assert_eq!(probe.poll_timeout(), Moment::NEVER);
    assert!(!probe.handle_timeout(Moment::NEVER));
    probe.heard(START);
    assert_eq!(probe.poll_timeout(), Moment::NEVER);
}
