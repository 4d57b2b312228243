//! Opening hours, odd hours and holidays (clause C2).

use super::*;

fn hours(text: &str) -> Hours {
    let (open, close) = text.split_once('-').expect("from-to");
    Hours { open: open.parse().expect("a time"), close: close.parse().expect("a time") }
}

fn at(text: &str) -> Timestamp {
    text.parse().expect("an instant")
}

fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).expect("a zone")
}

/// The same hours on all days, Berlin.
fn daily(spans: &[&str]) -> Calendar {
    let day: Vec<Hours> = spans.iter().map(|s| hours(s)).collect();
    let week = std::array::from_fn(|_| day.clone());
    Calendar::new(zone("Europe/Berlin"), week, SpecialDays::default()).expect("good hours")
}

/// Mon–Fri 08–20, Sat 09–15, with what `special` says.
fn operators(zone_name: &str, special: SpecialDays) -> Calendar {
    let week = std::array::from_fn(|day| match day {
        0..=4 => vec![hours("08:00-20:00")],
        5 => vec![hours("09:00-15:00")],
        _ => Vec::new(),
    });
    Calendar::new(zone(zone_name), week, special).expect("good hours")
}

#[test]
fn c2_the_first_instant_is_open_and_the_last_is_closed() {
    let calendar = operators("Europe/Berlin", SpecialDays::default());
    // 2026-03-02 is a Monday; Berlin is UTC+1.
    assert!(!calendar.is_open(at("2026-03-02T06:59:59.999999999Z")));
    assert!(calendar.is_open(at("2026-03-02T07:00:00Z")));
    assert!(calendar.is_open(at("2026-03-02T18:59:59.999999999Z")));
    assert!(!calendar.is_open(at("2026-03-02T19:00:00Z")));
    assert!(!calendar.is_open(at("2026-03-08T12:00:00Z")), "Sunday");
}

#[test]
fn c2_the_next_edge_crosses_a_sunday() {
    let calendar = operators("Europe/Berlin", SpecialDays::default());
    let saturday = at("2026-03-07T13:00:00Z");
    assert_eq!(calendar.next_edge(saturday), Some(at("2026-03-07T14:00:00Z")));
    assert_eq!(calendar.next_edge(at("2026-03-07T14:00:00Z")), Some(at("2026-03-09T07:00:00Z")));
    assert_eq!(calendar.opens(at("2026-03-07T14:00:00Z")), Some(at("2026-03-09T07:00:00Z")));
    assert_eq!(calendar.opens(saturday), None, "it is open");
}

#[test]
fn c2_an_hour_that_does_not_exist_begins_at_the_next_one_that_does() {
    // 2026-03-29: 02:00 → 03:00 at 01:00Z.
    let calendar = daily(&["02:15-04:00"]);
    assert!(!calendar.is_open(at("2026-03-29T00:59:59Z")));
    assert!(calendar.is_open(at("2026-03-29T01:00:00Z")), "03:00 is the next that exists");
    assert_eq!(calendar.next_edge(at("2026-03-29T00:00:00Z")), Some(at("2026-03-29T01:00:00Z")));
    assert_eq!(calendar.next_edge(at("2026-03-29T01:00:00Z")), Some(at("2026-03-29T02:00:00Z")));
}

#[test]
fn c2_hours_wholly_inside_the_missing_hour_do_not_open() {
    let calendar = daily(&["02:10-02:50"]);
    let next = calendar.next_edge(at("2026-03-28T12:00:00Z"));
    assert_eq!(next, Some(at("2026-03-30T00:10:00Z")), "the day after, in summer time");
}

#[test]
fn c2_closing_inside_the_missing_hour_closes_at_the_jump() {
    let calendar = daily(&["01:00-02:30"]);
    assert!(calendar.is_open(at("2026-03-29T00:59:59Z")));
    assert!(!calendar.is_open(at("2026-03-29T01:00:00Z")));
    assert_eq!(calendar.next_edge(at("2026-03-29T00:30:00Z")), Some(at("2026-03-29T01:00:00Z")));
}

#[test]
fn c2_an_hour_that_comes_twice_counts_twice() {
    // 2026-10-25: 03:00 → 02:00 at 01:00Z.
    let calendar = daily(&["02:00-02:30"]);
    let mut edges = Vec::new();
    let mut now = at("2026-10-24T12:00:00Z");
    for _ in 0..4 {
        now = calendar.next_edge(now).expect("a daily edge");
        edges.push(now.to_string());
    }
    assert_eq!(
        edges,
        [
            "2026-10-25T00:00:00Z",
            "2026-10-25T00:30:00Z",
            "2026-10-25T01:00:00Z",
            "2026-10-25T01:30:00Z"
        ]
    );
}

#[test]
fn c2_hours_over_the_second_coming_have_one_end() {
    let calendar = daily(&["01:00-02:30"]);
    // Open 01:00 and through 02:00–02:30; closed 02:30–03:00; open again as 02:00 comes again.
    assert!(calendar.is_open(at("2026-10-25T00:29:59Z")));
    assert!(!calendar.is_open(at("2026-10-25T00:30:00Z")));
    assert!(calendar.is_open(at("2026-10-25T01:00:00Z")), "02:00 for the second time");
    assert!(!calendar.is_open(at("2026-10-25T01:30:00Z")));
}

#[test]
fn c2_midnight_as_an_end_is_the_days_end_and_joins_the_next_day() {
    let calendar = daily(&["22:00-00:00", "00:00-02:00"]);
    assert!(calendar.is_open(at("2026-03-02T22:59:59Z")));
    assert!(calendar.is_open(at("2026-03-02T23:00:00Z")), "midnight itself");
    assert_eq!(
        calendar.next_edge(at("2026-03-02T21:30:00Z")),
        Some(at("2026-03-03T01:00:00Z")),
        "midnight is no edge"
    );
}

#[test]
fn c2_a_holiday_and_a_short_day_replace_the_weeks_hours() {
    let short: Date = "2026-12-24".parse().expect("a date");
    let special = SpecialDays {
        dates: BTreeMap::from([(short, vec![hours("08:00-12:00")])]),
        yearly: BTreeMap::from([((12, 25), Vec::new())]),
    };
    let calendar = operators("Europe/Berlin", special);
    assert!(calendar.is_open(at("2026-12-24T10:59:00Z")));
    assert!(!calendar.is_open(at("2026-12-24T11:00:00Z")));
    assert!(!calendar.is_open(at("2026-12-25T10:00:00Z")), "a Friday");
    assert!(!calendar.is_open(at("2028-12-25T10:00:00Z")), "a Monday, two years later");
    assert_eq!(calendar.next_edge(at("2026-12-24T11:00:00Z")), Some(at("2026-12-26T08:00:00Z")));
}

#[test]
fn c2_one_instant_is_open_in_one_zone_and_closed_in_another() {
    let berlin = operators("Europe/Berlin", SpecialDays::default());
    let ural = operators("Asia/Yekaterinburg", SpecialDays::default());
    let early = at("2026-07-01T04:00:00Z");
    assert!(ural.is_open(early) && !berlin.is_open(early));
    // Without daylight saving the edge stays at 03:00Z in summer and in winter.
    assert!(ural.is_open(at("2026-01-05T03:00:00Z")) && ural.is_open(at("2026-07-06T03:00:00Z")));
    assert!(!ural.is_open(at("2026-01-05T02:59:59Z")) && !ural.is_open(at("2026-07-06T02:59:59Z")));
}

#[test]
fn c2_a_calendar_without_edges_has_none() {
    assert!(Calendar::always().is_open(at("2026-03-02T03:00:00Z")));
    assert_eq!(Calendar::always().next_edge(at("2026-03-02T03:00:00Z")), None);
    let never = daily(&[]);
    assert!(!never.is_open(at("2026-03-02T12:00:00Z")));
    assert_eq!(never.opens(at("2026-03-02T12:00:00Z")), None);
}

#[test]
fn impossible_hours_are_refused() {
    for day in [vec![hours("10:00-09:00")], vec![hours("09:00-09:00")]] {
        let week = std::array::from_fn(|_| day.clone());
        assert!(Calendar::new(TimeZone::UTC, week, SpecialDays::default()).is_err());
    }
    let overlap = vec![hours("09:00-12:00"), hours("11:00-13:00")];
    let week = std::array::from_fn(|_| overlap.clone());
    assert!(Calendar::new(TimeZone::UTC, week, SpecialDays::default()).is_err());
}

#[test]
fn c2_every_edge_is_a_change_and_no_change_lies_between_edges() {
    // Minute by minute over both odd nights and a holiday, against `is_open` itself.
    let special =
        SpecialDays { yearly: BTreeMap::from([((10, 26), Vec::new())]), ..SpecialDays::default() };
    let mut calendars = vec![operators("Europe/Berlin", special)];
    calendars.push(daily(&["00:00-02:30", "02:45-03:00", "23:00-00:00"]));
    for calendar in calendars {
        for start in ["2026-03-28T00:00:00Z", "2026-10-24T00:00:00Z"] {
            let mut now = at(start);
            let mut edge = calendar.next_edge(now).expect("an edge");
            for _ in 0..4_320 {
                let next = now + SignedDuration::from_mins(1);
                if next == edge {
                    assert_ne!(calendar.is_open(now), calendar.is_open(next), "{next}");
                    edge = calendar.next_edge(next).expect("an edge");
                } else {
                    assert_eq!(calendar.is_open(now), calendar.is_open(next), "{next}");
                }
                now = next;
            }
        }
    }
}
