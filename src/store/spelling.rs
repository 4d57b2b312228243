//! "Did you mean …?": the nearest of the names that exist.

/// `; did you mean 'x'?` for the nearest of `known`, or nothing if none is near.
pub fn did_you_mean<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> String {
    let reach = (word.chars().count() / 3).clamp(1, 4);
    let near = known.map(|name| (distance(word, name), name)).min();
    match near {
        Some((far, name)) if far <= reach => format!("; did you mean '{name}'?"),
        _ => String::new(),
    }
}

/// Insertions, deletions, replacements and swaps of neighbours between two words.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![(0..=b.len()).collect::<Vec<usize>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let same = usize::from(a[i - 1] != b[j - 1]);
            let mut least = (rows[i - 1][j] + 1).min(row[j - 1] + 1).min(rows[i - 1][j - 1] + same);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_keyboard_is_understood_and_a_stranger_is_not() {
        let known = ["anna.berg", "boris.falk", "balance"];
        let hint = |word| did_you_mean(word, known.into_iter());
        assert_eq!(hint("ana.berg"), "; did you mean 'anna.berg'?");
        assert_eq!(hint("balnace"), "; did you mean 'balance'?");
        assert_eq!(hint("zebra"), "");
    }
}
