//! A bar on the terminal for long imports; silent where nobody looks (no terminal).

use indicatif::{ProgressBar, ProgressStyle};

use super::Progress;

/// Shows progress on standard error under `title`; the bar goes when the closure is dropped.
pub fn progress_bar(title: &str) -> impl FnMut(Progress) + use<> {
    let bar = ProgressBar::new(0);
    let style = ProgressStyle::with_template("{prefix} {msg} {wide_bar} {percent:>3} % {eta}");
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar.set_prefix(title.to_owned());
    let bar = Cleared(bar);
    move |progress| {
        bar.0.set_length(progress.total);
        bar.0.set_message(if progress.writing { "writing" } else { "checking" });
        bar.0.set_position(progress.done);
    }
}

struct Cleared(ProgressBar);

impl Drop for Cleared {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
