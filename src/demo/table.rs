//! The end of the show: every call on one line, and what one may do now with one's own phone.

use std::fmt::Write as _;

use super::company::DOMAIN;
use super::stage::Stage;
use super::verdict::Report;

/// Columns wider than this are cut.
const CELL_LEN_MAX: usize = 46;

/// All calls, and a line that says how many went where the paper wants them.
pub fn table(reports: &[Report]) -> String {
    let head = ["#", "call", "clause", "answered by", "wait", "outcome", ""];
    let mut rows = vec![head.map(str::to_owned)];
    for report in reports {
        let outcome = report.outcome.map(|o| format!("{o:?}")).unwrap_or_default();
        rows.push([
            report.call.to_string(),
            cut(&report.title),
            report.clause.clone().unwrap_or_default(),
            report.answered_by.clone().unwrap_or_else(|| "—".to_owned()),
            report.wait_ms.map(|ms| format!("{ms} ms")).unwrap_or_default(),
            words(&outcome),
            if report.ok { "as written" } else { "WRONG" }.to_owned(),
        ]);
    }
    let mut out = String::new();
    let width = |n: usize| rows.iter().map(|r| r[n].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    for row in &rows {
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(out, "{cell:<width$}  ");
        }
        out.truncate(out.trim_end().len());
        out.push('\n');
    }
    for report in reports.iter().filter(|r| !r.ok) {
        let _ = writeln!(out, "#{} {}: {}", report.call, report.title, report.faults.join("; "));
    }
    let right = reports.iter().filter(|r| r.ok).count();
    let _ = writeln!(out, "{right} of {} calls went where the policy says.", reports.len());
    out
}

/// How to take part oneself.
pub fn settings(stage: &Stage) -> String {
    let address = stage.address;
    let state = stage.server.folder().root().display();
    format!(
        "The server goes on at {address} (UDP and TCP) until Ctrl-C. Take part:\n\
         \n\
         You are Pavel Horn, operator: user 154, password pavel-154, domain {DOMAIN}.\n\
         His colleagues have switched off their phones: every retail client's call is yours. Times\n\
         are the policy's own now: it rings for 20 seconds.\n\
         \n\
         baresip, in ~/.baresip/accounts:\n\
         \x20 <sip:154@{DOMAIN}>;auth_pass=pavel-154;outbound=\"sip:{address}\"\n\
         Linphone: SIP account, user 154, password pavel-154, domain {DOMAIN},\n\
         \x20 proxy <sip:{address};transport=udp>, \"outbound proxy\" on\n\
         MicroSIP: SIP server {DOMAIN}, SIP proxy {address}, user 154, domain {DOMAIN},\n\
         \x20 login 154, password pavel-154\n\
         \n\
         Call a colleague: 112 (Anna Berg answers by herself). Star codes: *13 pause, *14 back.\n\
         Call yourself from outside, as a PBX at 127.0.0.2:\n\
         \x20 sipp -sn uac -i 127.0.0.2 -s 4930231250 -m 1 -d 5000 -nostdin {address}\n\
         Look on:\n\
         \x20 telefonist --state {state} agents | queues | calls | callbacks\n\
         \x20 telefonist --state {state} explain --from +442079460001\n\
         The server's clock is ahead of yours: it is Tuesday morning there.\n"
    )
}

fn cut(text: &str) -> String {
    if text.chars().count() <= CELL_LEN_MAX {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(CELL_LEN_MAX - 1).collect();
    cut.push('…');
    cut
}

/// `CallbackPromised` as people write it.
fn words(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        if c.is_uppercase() && !out.is_empty() {
            out.push(' ');
        }
        out.extend(c.to_lowercase());
    }
    out
}
