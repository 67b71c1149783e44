//! How a long command shows that it moves: a bar for people, lines for programs, nothing when
//! nobody watches.

use std::io::IsTerminal;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};

use super::Shared;

/// Shortest time between two lines of the same kind for programs.
const LINE_EVERY: Duration = Duration::from_millis(500);

const BYTES: &str =
    "{prefix} {wide_bar:.cyan/dim} {bytes}/{total_bytes} {bytes_per_sec} {eta} left{msg}";
const WORK: &str = "{prefix} {wide_bar:.cyan/dim} {percent} % {msg}";

/// The bars of files that move side by side.
#[derive(Debug, Clone)]
pub(crate) struct Bars {
    group: MultiProgress,
    is_json: bool,
    is_watched: bool,
}

impl Bars {
    /// Bars on standard error if that is a terminal; lines on standard output with `--json`.
    pub(crate) fn new(shared: &Shared) -> Self {
        let is_watched = !shared.json && std::io::stderr().is_terminal();
        let target = if is_watched {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        Self {
            group: MultiProgress::with_draw_target(target),
            is_json: shared.json,
            is_watched,
        }
    }

    /// Prints something else between the bars.
    pub(crate) fn suspend<T>(&self, print: impl FnOnce() -> T) -> T {
        self.group.suspend(print)
    }
}

/// What is being shown of one file. Clones show the same.
#[derive(Debug, Clone)]
pub(crate) struct Progress {
    bars: Bars,
    /// What the file is called in lines for programs.
    path: String,
    bar: ProgressBar,
    is_json: bool,
    is_watched: bool,
    state: Arc<Mutex<State>>,
    last_line: Arc<Mutex<Option<Instant>>>,
}

/// What stands right of the bar.
#[derive(Debug, Default)]
struct State {
    node: String,
    resumed_bytes: u64,
}

impl Progress {
    pub(crate) fn new(bars: &Bars, path: &Path, name: &str, size_bytes: u64) -> Self {
        let bars = bars.clone();
        let (is_json, is_watched) = (bars.is_json, bars.is_watched);
        let bar = bars.group.add(ProgressBar::new(size_bytes));
        bar.set_style(style(BYTES));
        bar.set_prefix(console::truncate_str(name, 32, "…").into_owned());
        if is_watched {
            bar.enable_steady_tick(Duration::from_millis(200));
        }
        Self {
            bars,
            path: path.display().to_string(),
            bar,
            is_json,
            is_watched,
            state: Arc::default(),
            last_line: Arc::default(),
        }
    }

    /// The node had `bytes` of it before. They count for the bar, not for the rate.
    pub(crate) fn resumed(&self, bytes: u64) {
        self.bar.set_position(bytes);
        self.bar.reset_eta();
        self.note_state(|state| state.resumed_bytes = bytes);
    }

    /// Where it goes.
    pub(crate) fn to(&self, node: &str) {
        self.note_state(|state| node.clone_into(&mut state.node));
    }

    fn note_state(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state.lock().expect("no holder panics");
        change(&mut state);
        let mut message = String::new();
        if !state.node.is_empty() {
            message = format!(", to {}", state.node);
        }
        if state.resumed_bytes > 0 {
            let bytes = super::table::bytes(state.resumed_bytes);
            message = format!("{message}, {bytes} were there");
        }
        self.bar.set_message(message);
    }

    /// A line for people who watch; others can do without it.
    pub(crate) fn detail(&self, text: &str) {
        if self.is_watched {
            self.bars.suspend(|| print_note(text));
        }
    }

    /// So many more bytes are safe on the node; returns all that are.
    pub(crate) fn advance(&self, bytes: u64) -> u64 {
        self.bar.inc(bytes);
        self.bar.position()
    }

    /// A message that replaces what stood right of the bar.
    pub(crate) fn say(&self, message: &str) {
        self.bar.set_message(format!(", {message}"));
    }

    /// From now on it counts thousandths of work rather than bytes.
    pub(crate) fn work(&self, what: &str, permille: u16) {
        if self.bar.length() != Some(1000) || self.bar.position() > 1000 {
            self.bar.set_position(0);
            self.bar.set_length(1000);
        }
        self.bar.set_style(style(WORK));
        self.bar.set_position(permille.into());
        self.bar.set_message(what.to_owned());
    }

    /// A line for people, above the bar or, where there is none, on its own.
    pub(crate) fn note(&self, text: &str) {
        if !self.is_json {
            self.bars.suspend(|| print_note(text));
        }
    }

    /// A line for programs.
    #[expect(clippy::print_stdout, reason = "this is the command line")]
    pub(crate) fn event(&self, event: &str, fields: Value) {
        if !self.is_json {
            return;
        }
        let mut line = json!({ "event": event, "path": self.path });
        if let (Some(line), Value::Object(fields)) = (line.as_object_mut(), fields) {
            line.extend(fields);
        }
        println!("{line}");
    }

    /// As [`Self::event`], for what happens often: most are left out.
    pub(crate) fn frequent(&self, event: &str, fields: impl FnOnce() -> Value) {
        if !self.is_json {
            return;
        }
        let now = Instant::now();
        {
            let mut last = self.last_line.lock().expect("no holder panics");
            if last.is_some_and(|last| now.duration_since(last) < LINE_EVERY) {
                return;
            }
            *last = Some(now);
        }
        self.event(event, fields());
    }

    /// Takes the bar away.
    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

#[expect(clippy::print_stderr, reason = "this is the command line")]
fn print_note(text: &str) {
    eprintln!("{text}");
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the template is a constant")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_valid() {
        style(BYTES);
        style(WORK);
    }

    #[test]
    fn resumed_bytes_count_for_the_bar() {
        let shared = Shared {
            json: true,
            to: None,
            usual: String::new(),
            api_token: None,
        };
        let bars = Bars::new(&shared);
        let progress = Progress::new(&bars, Path::new("reel.mov"), "reel.mov", 100);
        progress.resumed(40);
        assert_eq!(progress.advance(10), 50);
    }
}
