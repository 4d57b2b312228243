//! Which clause of the paper is carried out where, and which test proves it: for `check --clauses`.
//!
//! A clause counts as covered when a rule, a step or a setting of the configuration names it *and* tests
//! prove it. Tests of a clause are named after it (`b2_a_key_client_…`); that each of them is there is a
//! test itself. What does not work yet has no test here, so it can never count. A setting that the
//! configuration leaves out counts by its default, where the default alone carries the clause out.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::Serialize;

use super::Policy;
use super::fields::{At, Fields, Reader};
use super::problem::{Problem, Severity, did_you_mean};

/// One clause as this program knows it.
struct Clause {
    id: &'static str,
    title: &'static str,
    /// File and key of the settings that carry it out.
    settings: &'static [(&'static str, &'static str)],
    tests: &'static [&'static str],
}

/// One line of the matrix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClauseLine {
    /// `B2`.
    pub clause: &'static str,
    /// What it is about.
    pub title: &'static str,
    /// Where the configuration names it: `policy.toml:127 rule key client`.
    pub places: Vec<String>,
    /// Tests that prove it.
    pub tests: &'static [&'static str],
    /// Named by the configuration and proven by tests.
    pub covered: bool,
}

/// A file's name and text.
pub type NamedText<'a> = (&'a str, &'a str);

/// The matrix, in the paper's order. `files` are the configuration's texts; `named` are the places
/// at which rules and steps name clauses: (clause, line of `policy.toml`, what stands there); `off`: clauses
/// that a setting's value switches off.
pub fn clauses(
    files: &[NamedText<'_>],
    named: &[(String, u32, String)],
    off: &[&str],
) -> Vec<ClauseLine> {
    let line = |clause: &Clause| {
        let rules = named.iter().filter(|(id, _, _)| id == clause.id);
        let rules = rules.map(|(_, line, what)| format!("policy.toml:{line} {what}"));
        let settings = clause.settings.iter().filter_map(|(file, key)| setting(files, file, key));
        let mut places: Vec<String> = rules.chain(settings).collect();
        if places.is_empty() {
            let default = DEFAULTS.iter().find(|(id, _)| *id == clause.id);
            places.extend(default.map(|(_, setting)| format!("{setting} (by default)")));
        }
        if off.contains(&clause.id) {
            places.clear();
        }
        let covered = !places.is_empty() && !clause.tests.is_empty();
        let (id, title, tests) = (clause.id, clause.title, clause.tests);
        ClauseLine { clause: id, title, places, tests, covered }
    };
    CLAUSES.iter().map(line).collect()
}

/// The clause that a rule, a plan or a help must name.
pub(super) fn named(fields: &mut Fields<'_>, reader: &mut Reader<'_>) -> Arc<str> {
    let text = fields.required("clause", reader).and_then(|v| reader.text(v));
    text.map_or_else(|| Arc::from(""), |text| of_the_paper(text, reader))
}

/// A name as a clause; that the paper does not have it is noted: whoever reads an explanation would look
/// for it in vain.
pub(super) fn of_the_paper(text: At<String>, reader: &mut Reader<'_>) -> Arc<str> {
    if text.trim().is_empty() {
        reader.error(text.span.clone(), "`clause` is empty", None);
    } else if !CLAUSES.iter().any(|clause| clause.id == text.value) {
        let hint = did_you_mean(&text, CLAUSES.iter().map(|clause| clause.id))
            .or_else(|| Some("`telefonist check --clauses` lists them".to_owned()));
        reader.warn(text.span.clone(), format!("the paper has no clause `{}`", text.value), hint);
    }
    Arc::from(text.value)
}

/// Clauses that only rules name which the settings switch off: as it stands, nobody carries them out.
pub(super) fn only_where_it_is_off(policy: &Policy) -> Vec<Problem> {
    let mut seen: BTreeSet<String> =
        policy.clauses_named().into_iter().map(|(clause, _, _)| clause).collect();
    let mut found = Vec::new();
    for rule in policy.rules.iter().filter(|rule| rule.is_off()) {
        let own = std::iter::once(&rule.clause).chain(rule.steps.iter().map(|step| &step.clause));
        for clause in own.filter(|id| CLAUSES.iter().any(|clause| clause.id == id.as_ref())) {
            if !seen.insert(clause.to_string()) {
                continue;
            }
            let message = format!(
                "the settings switch `{}` off, and nothing else that is on names clause {clause}",
                rule.name
            );
            let hint = "change the setting that its `when` asks for, or name the clause elsewhere";
            let severity = Severity::Warning;
            found.push(policy.source.problem(
                severity,
                rule.span.clone(),
                message,
                Some(hint.into()),
            ));
        }
    }
    found
}

/// Names that the configuration gives as clauses and the paper does not have.
pub fn unknown_clauses(named: &[(String, u32, String)]) -> Vec<String> {
    let known = |id: &str| CLAUSES.iter().any(|clause| clause.id == id);
    let strange = named.iter().filter(|(id, _, _)| !known(id));
    strange.map(|(id, line, what)| format!("policy.toml:{line} {what}: no clause {id}")).collect()
}

/// Where a file sets `key`, or shows it with its default.
fn setting(files: &[NamedText<'_>], file: &str, key: &str) -> Option<String> {
    let (_, text) = files.iter().find(|(name, _)| *name == file)?;
    let sets = |line: &str| {
        let line = line.trim_start().trim_start_matches("# ");
        let mut path = line.split_once('=').map_or("", |(path, _)| path).split('.');
        line.starts_with(key) && key.contains('=') || path.any(|part| part.trim() == key)
    };
    let place = text.lines().position(sets)?;
    Some(format!("{file}:{} {}", place + 1, key.split('=').next().unwrap_or(key).trim()))
}

/// Settings whose defaults carry a clause out, whatever the rules say.
const DEFAULTS: &[(&str, &str)] = &[
    ("A1", "telefonist.toml timers.identify_timeout"),
    ("A2", "policy.toml settings.client_types"),
    ("A4", "policy.toml settings.grace_days"),
    ("B10", "telefonist.toml timers.refuse_backoff"),
    ("C3", "telefonist.toml people.login_on_register"),
    ("C7", "telefonist.toml timers.busy_backoff"),
    ("C4", "telefonist.toml people.lock_after"),
];

/// The paper's clauses, in its order.
const CLAUSES: &[Clause] = &[
    Clause {
        id: "A1",
        title: "identify",
        settings: &[("telefonist.toml", "identify_timeout"), ("telefonist.toml", "trusted")],
        tests: &[
            "a1_a_caller_whose_address_is_none_is_a_call_like_any_other",
            "a1_a_database_that_does_not_answer_makes_nobody_new",
            "a1_a_forwarded_call_is_its_original_callers",
            "a1_a_local_number_is_meant_within_its_context",
            "a1_a_malformed_number_is_unidentified_never_an_error",
            "a1_a_stale_index_still_identifies_and_says_so",
            "a1_a_withheld_number_is_unidentified_and_goes_to_the_operators",
            "a1_an_asserted_identity_counts_on_a_trusted_trunk_only",
            "a1_several_clients_with_the_number_are_all_shown",
            "a1_what_is_no_number_is_nobody_and_no_error",
            "a1_who_asks_for_privacy_is_nobody_on_the_phone_and_in_the_register",
            "a1_who_asks_for_privacy_is_withheld",
        ],
    },
    Clause {
        id: "A2",
        title: "client type",
        settings: &[("policy.toml", "client_types")],
        tests: &["a2_facts_are_shown_with_the_age_of_their_row"],
    },
    Clause {
        id: "A3",
        title: "new client",
        settings: &[("policy.toml", "when   = { new = true }")],
        tests: &[
            "a3_a_client_with_neither_manager_nor_order_is_new",
            "a3_a_manager_who_is_not_there_is_none",
            "a3_a_valid_number_in_no_list_is_new",
            "a3_new_is_without_manager_order_and_mark",
            "a3_who_is_marked_served_by_operators_is_no_longer_new",
        ],
    },
    Clause {
        id: "A4",
        title: "debtor",
        settings: &[("policy.toml", "grace_days")],
        tests: &[
            "a4_above_the_limit_is_a_debt_and_at_the_limit_is_none",
            "a4_days_of_debt_are_local_days",
            "a4_exactly_at_the_credit_limit_is_no_debt_and_one_cent_above_is",
            "a4_grace_days_are_days_that_are_no_debt_yet",
            "a4_overdue_days_count_from_the_due_day_and_grace_days_are_free",
        ],
    },
    Clause { id: "A5", title: "identified by asking", settings: &[], tests: &[] },
    Clause {
        id: "B1",
        title: "new → heads",
        settings: &[("policy.toml", "default_department")],
        tests: &[
            "b1_a_clients_own_region_goes_before_that_of_the_number",
            "b1_a_new_client_goes_to_the_head_of_the_called_department",
            "b1_an_absent_head_without_deputy_passes_the_callback_on_and_says_so",
            "b1_an_absent_heads_deputy_stands_in_and_owns_the_callback",
            "b1_every_called_number_and_every_region_has_the_department_of_the_paper",
            "b1_new_goes_before_vip_key_and_debt",
            "b1_the_called_number_goes_before_the_callers_region_and_that_before_the_default",
            "b1_the_relevant_head_who_is_also_the_default_is_asked_once",
            "b1_with_no_head_anywhere_the_operators_inform_and_a_callback_is_owned",
            "b1_without_a_head_on_shift_the_shift_leader_stands_in",
        ],
    },
    Clause {
        id: "B9",
        title: "VIP → personal manager",
        settings: &[("policy.toml", "vip_debtor")],
        tests: &[
            "b9_a_pending_status_does_not_count_yet",
            "b9_a_setting_sends_vip_debtors_to_finance",
            "b9_a_vip_client_goes_to_the_personal_manager_then_to_the_others_of_that_department",
            "b9_a_vip_client_without_a_manager_reaches_the_head_of_client_service",
            "b9_goes_before_key_and_debt",
        ],
    },
    Clause {
        id: "B2",
        title: "key → their manager",
        settings: &[],
        tests: &[
            "b2_a_busy_manager_has_no_deputy_and_the_caller_waits",
            "b2_a_key_client_goes_to_their_own_manager_first",
            "b2_a_key_client_who_owes_still_goes_to_the_manager_with_the_debt_shown",
            "b2_a_manager_who_does_not_answer_is_locked_and_a_colleague_rings",
            "b2_a_manager_who_has_left_is_a_note_not_an_error",
            "b2_an_absent_managers_deputy_takes_the_place",
            "b2_with_every_manager_gone_the_head_of_wholesale_is_next",
            "b2_with_nobody_at_all_a_callback_is_promised_never_a_dead_line",
        ],
    },
    Clause {
        id: "B3",
        title: "debtor → finance",
        settings: &[
            ("policy.toml", "debtor"),
            ("policy.toml", "debt_data_max_age"),
            ("policy.toml", "use_old_debt"),
        ],
        tests: &[
            "b3_a_balance_of_this_morning_counts",
            "b3_a_debtor_goes_to_finance_then_to_the_manager_then_to_the_head_of_finance",
            "b3_a_debtor_without_a_manager_skips_that_step",
            "b3_a_setting_asks_the_manager_first",
            "b3_an_old_balance_is_shown_as_old_and_not_used",
        ],
    },
    Clause {
        id: "B4",
        title: "everybody else → operators",
        settings: &[],
        tests: &[
            "b4_a_regional_client_with_a_manager_still_goes_to_the_operators",
            "b4_a_type_that_the_policy_does_not_name_goes_to_the_operators",
            "b4_everybody_else_goes_to_the_operators_then_to_their_replacement",
            "b4_helpers_take_the_calls_at_once_when_the_last_position_of_the_group_is_closed",
        ],
    },
    Clause { id: "B5", title: "other purpose", settings: &[], tests: &[] },
    Clause { id: "B6", title: "unusual situation", settings: &[], tests: &[] },
    Clause {
        id: "B7",
        title: "help each other",
        settings: &[],
        tests: &[
            "b7_a_helper_prefers_nobody_who_came_later_and_rests_like_everybody",
            "b7_a_member_comes_before_a_helper_who_has_been_idle_for_longer",
            "b7_a_reload_without_help_closes_it_at_once",
            "b7_between_the_thresholds_help_stays_open",
            "b7_everything_that_is_wrong_with_help_is_told_at_its_place_at_once",
            "b7_helpers_are_offered_calls_when_the_wait_has_passed_the_threshold",
            "b7_helpers_stop_when_the_wait_is_below_the_lower_threshold",
            "b7_who_would_help_in_a_seventeenth_group_is_told_by_check_with_the_line_of_the_help",
        ],
    },
    Clause {
        id: "B8",
        title: "supervisor's hand",
        settings: &[],
        tests: &[
            "b8_a_break_outlives_the_opening_of_a_position",
            "b8_a_call_that_rings_when_it_is_moved_rings_on_and_is_not_lost",
            "b8_a_closed_position_stays_closed_whatever_the_person_does_until_a_supervisor_opens_it",
            "b8_a_closed_queue_takes_nobody_until_it_is_opened",
            "b8_a_move_that_cannot_be_is_refused_in_words_and_the_call_stays",
            "b8_a_move_that_changes_nothing_is_refused_and_piles_up_nowhere",
            "b8_a_move_that_changes_nothing_is_told_from_one_that_does",
            "b8_a_moved_call_goes_on_when_its_new_queue_closes",
            "b8_a_phone_that_rings_when_its_position_is_closed_may_answer_and_who_refuses_gets_no_more",
            "b8_a_phone_that_rings_when_its_queue_is_closed_may_still_answer",
            "b8_a_plan_goes_as_a_whole_and_leaves_what_was_ordered_by_hand",
            "b8_a_plan_that_is_taken_back_one_by_one_is_in_force_as_far_as_it_stands_and_superiors_hear_it",
            "b8_a_plan_that_makes_no_sense_for_the_people_is_told_by_check_at_its_line",
            "b8_a_plan_that_names_nobody_is_refused_with_all_its_lines",
            "b8_a_plan_that_the_policy_has_no_more_is_shown_and_can_be_reverted",
            "b8_a_position_is_closed_until_a_supervisor_opens_it",
            "b8_a_queue_that_opens_again_holds_those_whom_its_closing_sent_on",
            "b8_a_replayed_directory_has_its_orders",
            "b8_a_waiting_call_that_is_moved_keeps_its_place",
            "b8_an_agent_who_is_moved_during_an_offer_keeps_it_and_is_moved_afterwards",
            "b8_an_emergency_plan_is_applied_and_reverted_as_a_whole",
            "b8_an_idle_agent_who_is_moved_gets_the_waiting_caller_at_once",
            "b8_an_order_moves_a_person_between_groups_until_it_is_taken_back",
            "b8_an_order_of_a_plan_that_is_taken_back_has_no_effect_and_the_last_one_ends_the_plan",
            "b8_an_order_that_gives_somebody_a_seventeenth_group_is_refused",
            "b8_no_call_is_moved_to_a_closed_position",
            "b8_orders_are_bounded_and_survive_their_text",
            "b8_orders_are_seen_at_once_stand_over_a_restart_and_are_taken_back_by_a_supervisor",
            "b8_the_log_says_which_order_was_given_by_whom_and_names_nobody",
            "b8_what_is_wrong_with_an_emergency_plan_is_told_with_its_line",
            "b8_who_leads_stands_in_or_leads_the_shift_may_order_and_nobody_else",
            "b8_who_may_not_order_and_what_is_not_there_is_refused_with_code_1",
            "b8_who_waits_for_somebody_whose_position_is_closed_goes_on_and_has_them_again_when_it_opens",
            "b8_who_waits_in_a_queue_that_is_closed_goes_on_and_it_is_said_who_closed_it",
            "b8_who_was_moved_away_is_offered_nothing_of_the_old_group_whatever_they_do",
            "b8_whose_position_is_closed_is_offered_nothing_whatever_they_do",
            "b8_with_from_only_that_group_is_left_in_every_department",
        ],
    },
    Clause {
        id: "B10",
        title: "nobody is fobbed off",
        settings: &[("telefonist.toml", "refuse_backoff"), ("policy.toml", "callback_owner")],
        tests: &[
            "b10_no_person_stands_in_two_steps_of_their_own",
            "b10_who_refused_is_not_offered_the_same_caller_at_once",
            "b10_who_was_gone_in_one_step_is_waited_for_in_a_later_one",
            "b10_whose_queue_was_full_is_rung_in_a_later_step",
        ],
    },
    Clause {
        id: "C1",
        title: "absence",
        settings: &[],
        tests: &[
            "c1_a_chain_ends_where_no_deputy_is_named_or_the_deputy_has_left",
            "c1_a_chain_that_comes_back_ends_without_a_loop",
            "c1_a_circle_of_deputies_ends_and_the_next_step_takes_over",
            "c1_a_deputy_may_be_absent_too_and_the_chain_is_followed",
            "c1_a_deputy_of_another_kind_is_a_warning",
            "c1_a_step_to_whoever_stands_in_names_the_clause",
            "c1_absence_says_its_kind_and_its_end",
            "c1_an_absence_ends_with_its_last_day_of_the_department",
            "c1_an_absence_that_is_entered_while_a_caller_waits_ends_the_step",
            "c1_both_days_of_an_absence_are_included",
            "c1_days_are_local_days_of_the_persons_department",
            "c1_deputies_in_a_circle_on_common_days_are_refused_once",
            "c1_deputies_who_are_away_at_different_times_are_no_circle",
            "c1_of_two_absences_on_one_day_the_one_with_a_deputy_counts",
            "c1_ones_own_deputy_is_a_circle_of_one",
            "c1_somebody_present_has_no_deputies",
            "c1_the_chain_is_followed_to_the_first_who_is_present",
        ],
    },
    Clause {
        id: "C2",
        title: "hours",
        settings: &[("calendars.toml", "zone"), ("calendars.toml", "week")],
        tests: &[
            "c2_a_calendar_without_edges_has_none",
            "c2_a_holiday_and_a_short_day_replace_the_weeks_hours",
            "c2_always_and_split_days_are_possible",
            "c2_an_hour_that_comes_twice_counts_twice",
            "c2_an_hour_that_does_not_exist_begins_at_the_next_one_that_does",
            "c2_closing_inside_the_missing_hour_closes_at_the_jump",
            "c2_every_edge_is_a_change_and_no_change_lies_between_edges",
            "c2_finance_closes_early_on_friday_and_the_manager_takes_over",
            "c2_hours_are_those_of_each_persons_own_department",
            "c2_hours_over_the_second_coming_have_one_end",
            "c2_hours_wholly_inside_the_missing_hour_do_not_open",
            "c2_midnight_as_an_end_is_the_days_end_and_joins_the_next_day",
            "c2_one_instant_is_open_in_one_zone_and_closed_in_another",
            "c2_one_open_department_is_enough_to_go_on",
            "c2_the_first_instant_is_open_and_the_last_is_closed",
            "c2_the_next_edge_crosses_a_sunday",
            "c2_the_shipped_calendars_are_good",
            "c2_the_shipped_hours_are_those_of_each_department",
            "c2_when_every_step_is_closed_the_first_steps_department_answers",
        ],
    },
    Clause {
        id: "C3",
        title: "presence",
        settings: &[("telefonist.toml", "login_on_register")],
        tests: &[
            "c3_a_person_without_a_phone_of_ours_is_gone",
            "c3_everybody_is_listed_with_their_presence_and_its_reason",
        ],
    },
    Clause {
        id: "C7",
        title: "edges",
        settings: &[
            ("policy.toml", "ring"),
            ("policy.toml", "wait"),
            ("telefonist.toml", "busy_backoff"),
        ],
        tests: &[
            "c7_a_busy_manager_is_waited_for_and_steps_add_up",
            "c7_a_manager_who_becomes_free_after_the_plan_moved_on_gets_their_client",
            "c7_a_manager_who_is_gone_is_skipped_at_once",
            "c7_a_step_that_holds_the_call_alone_does_not_while_it_is_skipped",
            "c7_in_a_group_the_caller_waits_for_whose_phone_says_busy",
            "c7_no_queue_stands_in_a_plan_twice",
            "c7_no_shipped_step_lets_go_of_those_before_it",
            "c7_only_lets_go_of_the_earlier_queues",
            "c7_people_have_their_own_queues_and_roles_the_groups",
            "c7_ring_and_wait_are_the_steps_own",
            "c7_the_end_of_wait_never_cuts_a_phone_that_rings",
            "c7_when_all_go_while_a_caller_waits_the_next_step_begins_at_once",
            "c7_who_became_free_while_another_phone_rang_is_offered_the_call_that_it_refused",
            "c7_who_comes_back_gets_the_caller_whose_step_was_skipped",
            "c7_who_is_gone_for_the_whole_call_is_listed_and_stands_in_no_queue",
            "c7_whose_phone_says_busy_keeps_the_call_in_line_while_the_next_step_rings",
        ],
    },
    Clause {
        id: "C4",
        title: "no answer",
        settings: &[("telefonist.toml", "lock_after")],
        tests: &[
            "c4_never_locks_nobody_and_answering_begins_the_count_anew",
            "c4_who_does_not_answer_is_locked_and_a_colleague_rings",
            "c4_who_misses_as_many_as_set_is_locked_and_says_by_star_code_that_they_are_back",
            "c4_whose_phone_goes_while_it_rings_is_not_locked",
        ],
    },
    Clause { id: "C5", title: "shifts", settings: &[], tests: &[] },
    Clause { id: "C6", title: "home", settings: &[], tests: &[] },
    Clause { id: "D1", title: "every call", settings: &[], tests: &[] },
    Clause { id: "D2", title: "outcome", settings: &[], tests: &[] },
    Clause { id: "D3", title: "complaints, wishes, praise", settings: &[], tests: &[] },
    Clause { id: "D4", title: "reports", settings: &[], tests: &[] },
    Clause { id: "D5", title: "performance criteria", settings: &[], tests: &[] },
    Clause { id: "D6", title: "secrecy", settings: &[], tests: &[] },
    Clause { id: "D7", title: "quality checks", settings: &[], tests: &[] },
    Clause { id: "D8", title: "staff's remarks", settings: &[], tests: &[] },
    Clause { id: "E1", title: "callback", settings: &[], tests: &[] },
    Clause { id: "E2", title: "sleeping clients", settings: &[], tests: &[] },
    Clause { id: "E3", title: "assignments", settings: &[], tests: &[] },
    Clause { id: "E4", title: "debts", settings: &[], tests: &[] },
    Clause { id: "E5", title: "reminders", settings: &[], tests: &[] },
    Clause { id: "E6", title: "refusals revisited", settings: &[], tests: &[] },
    Clause { id: "F1", title: "screen pop", settings: &[], tests: &[] },
    Clause { id: "F2", title: "prompts", settings: &[], tests: &[] },
    Clause { id: "F3", title: "knowledge", settings: &[], tests: &[] },
    Clause { id: "G1", title: "VIP status", settings: &[], tests: &[] },
    Clause { id: "G2", title: "VIP's personal manager", settings: &[], tests: &[] },
    Clause { id: "G3", title: "no unconditional discount", settings: &[], tests: &[] },
    Clause { id: "G4", title: "additional service", settings: &[], tests: &[] },
    Clause { id: "H1", title: "voice quality", settings: &[], tests: &[] },
    Clause { id: "H2", title: "test calls", settings: &[], tests: &[] },
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn sources(folder: &Path, found: &mut String) {
        for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                sources(&path, found);
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push_str(&std::fs::read_to_string(&path).expect("a source"));
            }
        }
    }

    #[test]
    fn every_test_of_the_matrix_is_there_and_named_after_its_clause() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut all = String::new();
        sources(&root.join("src"), &mut all);
        sources(&root.join("tests"), &mut all);
        let after = all.split("#[test]").skip(1).filter_map(|rest| {
            let rest = rest.split("fn ").nth(1)?;
            rest.split('(').next()
        });
        let written: BTreeSet<&str> = after.collect();
        for clause in CLAUSES {
            for test in clause.tests {
                assert!(written.contains(test), "{}: there is no test {test}", clause.id);
                let begin = format!("{}_", clause.id.to_lowercase());
                assert!(test.starts_with(&begin), "{test} does not name {}", clause.id);
            }
        }
    }

    #[test]
    fn a_clause_without_a_place_or_without_a_test_is_not_covered() {
        let named =
            vec![("B2".to_owned(), 7, "rule key".to_owned()), ("B5".to_owned(), 9, "x".to_owned())];
        let lines = clauses(&[("policy.toml", "# grace_days = 0\n")], &named, &[]);
        let line = |id: &str| lines.iter().find(|l| l.clause == id).expect("a clause");
        assert!(line("B2").covered && line("B2").places == ["policy.toml:7 rule key"]);
        assert!(!line("B5").covered, "named, and no test proves it");
        assert!(!line("B9").covered, "proven, and nothing here names it");
        assert_eq!(line("C4").places, ["telefonist.toml people.lock_after (by default)"]);
        assert!(line("C4").covered && line("C3").covered);
        for text in ["[people]\nlock_after = 2\n", "\npeople . lock_after = 2\n"] {
            let set = clauses(&[("telefonist.toml", text)], &named, &[]);
            let set = set.iter().find(|l| l.clause == "C4").expect("a clause");
            assert_eq!(set.places, ["telefonist.toml:2 lock_after"]);
            let off = clauses(&[("telefonist.toml", text)], &named, &["C4"]);
            let off = off.iter().find(|l| l.clause == "C4").expect("a clause");
            assert!(!off.covered && off.places.is_empty(), "who misses a call is not locked");
        }
        assert_eq!(line("A4").places, ["policy.toml:1 grace_days"]);
        assert_eq!(
            unknown_clauses(&[("Z9".into(), 3, "rule x".into())]),
            ["policy.toml:3 rule x: no clause Z9"]
        );
    }
}
