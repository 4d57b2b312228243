//! Which final response goes upstream (RFC 3261 §16.7 step 6).

use crate::sip::Message;

/// How one branch ended.
#[derive(Clone, Debug)]
pub(super) enum Final {
    /// By a response from there.
    Response(Message),
    /// By us: 408 for silence (§16.8), 503 for a transport that failed (§16.9).
    Local(u16),
}

impl Final {
    pub fn status(&self) -> u16 {
        match self {
            Final::Response(response) => response.status(),
            Final::Local(status) => *status,
        }
    }
}

/// 6xx before all; else the lowest class; within 4xx what lets the caller try again better, and last what
/// says least. Among equals the first.
pub(super) fn best<'a>(finals: impl Iterator<Item = &'a Final>) -> Option<&'a Final> {
    finals.min_by_key(|f| rank(f.status()))
}

fn rank(status: u16) -> (u16, u16) {
    let class = match status / 100 {
        6 => 0,
        class => class,
    };
    let within = match status {
        401 | 407 | 415 | 420 | 484 => 0,
        408 | 487 | 503 => 2,
        _ => 1,
    };
    (class, within)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(statuses: &[u16]) -> u16 {
        let finals: Vec<_> = statuses.iter().map(|s| Final::Local(*s)).collect();
        best(finals.iter()).unwrap().status()
    }

    #[test]
    fn the_order_of_16_7_6() {
        assert_eq!(chosen(&[404, 603, 302]), 603);
        assert_eq!(chosen(&[503, 404, 302]), 302);
        assert_eq!(chosen(&[500, 486]), 486);
        assert_eq!(chosen(&[404, 486]), 404);
        assert_eq!(chosen(&[486, 407, 404]), 407);
        assert_eq!(chosen(&[408, 487, 480]), 480);
        assert_eq!(chosen(&[503, 500]), 500);
        assert!(best([].iter()).is_none());
    }
}
