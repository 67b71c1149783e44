//! Pure: what the end of a worker process means, in words.

#![deny(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::iter_over_hash_type
)]

use protocol::failure::{Failure, FailureClass};

/// How a process ended: one of the two is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Exit {
    pub(super) code: Option<i32>,
    pub(super) signal: Option<i32>,
}

/// Codes of failures that only the parent can tell.
pub(super) const CRASHED: &str = "worker_crashed";
pub(super) const STALLED: &str = "worker_stalled";
pub(super) const TIMED_OUT: &str = "worker_timed_out";
pub(super) const NOT_STARTED: &str = "worker_not_started";
pub(super) const UNCONFINED: &str = "sandbox_unavailable";

/// Signals that end a worker, and what each says.
const SIGNALS: [(i32, &str, &str); 10] = [
    (
        libc::SIGSEGV,
        "SIGSEGV",
        "a decoder touched memory that is not its own",
    ),
    (
        libc::SIGBUS,
        "SIGBUS",
        "a decoder touched memory that is not there",
    ),
    (libc::SIGABRT, "SIGABRT", "a library gave up"),
    (
        libc::SIGILL,
        "SIGILL",
        "a library used an unknown instruction",
    ),
    (libc::SIGFPE, "SIGFPE", "a decoder divided by zero"),
    (libc::SIGTRAP, "SIGTRAP", "a library gave up"),
    (libc::SIGSYS, "SIGSYS", "the sandbox denied a system call"),
    (libc::SIGXCPU, "SIGXCPU", "it used up its processor time"),
    (
        libc::SIGXFSZ,
        "SIGXFSZ",
        "it wrote a file larger than it may",
    ),
    (
        libc::SIGKILL,
        "SIGKILL",
        "the system killed it, most likely because memory ran out",
    ),
];

impl Exit {
    /// Why an exit without a result happened. `detail` is what the worker wrote last.
    pub(super) fn failure(self, detail: String) -> Failure {
        if self.code == Some(i32::from(super::super::sandbox::EXIT_UNCONFINED)) {
            return Failure::new(
                FailureClass::Resource,
                UNCONFINED,
                "This node cannot confine a worker, so it renders nothing; `reelmesh doctor` on \
                 the node says what is missing.",
                detail,
            );
        }
        let code = match self.signal {
            Some(libc::SIGXCPU) => TIMED_OUT,
            _ => CRASHED,
        };
        let message = format!(
            "The worker ended without a result: {self}. The file may be damaged in a way that a \
             decoder cannot stand.",
        );
        Failure::new(FailureClass::Crashed, code, message, detail)
    }
}

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.signal, self.code) {
            (Some(signal), _) => match SIGNALS.iter().find(|(number, ..)| *number == signal) {
                Some((_, name, meaning)) => write!(f, "{meaning} ({name})"),
                None => write!(f, "it was ended by signal {signal}"),
            },
            (None, Some(0)) => f.write_str("it left early"),
            (None, Some(code)) => write!(f, "it left with exit status {code}"),
            (None, None) => f.write_str("nobody knows how"),
        }
    }
}

/// A failure that a worker reported, as far as it can be believed: the worker has read hostile
/// bytes, so its texts are cut and cleaned, and it cannot claim that a person cancelled it.
pub(super) fn reported(failure: Failure) -> Failure {
    let class = match failure.class {
        FailureClass::Cancelled => FailureClass::Crashed,
        class => class,
    };
    let is_code = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let code = if !failure.code.is_empty() && failure.code.chars().all(is_code) {
        failure.code
    } else {
        CRASHED.to_owned()
    };
    let message = printable(&failure.message).replace('\n', " ");
    Failure::new(class, code, message, printable(&failure.detail))
}

/// `text` without characters that could steer a terminal.
pub(super) fn printable(text: &str) -> String {
    text.chars()
        .filter(|&c| c == '\n' || !c.is_control())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_are_named_and_explained() {
        for (signal, part, code) in [
            (libc::SIGSEGV, "(SIGSEGV)", CRASHED),
            (libc::SIGSYS, "the sandbox denied a system call", CRASHED),
            (libc::SIGXCPU, "processor time", TIMED_OUT),
            (libc::SIGKILL, "memory ran out", CRASHED),
            (62, "signal 62", CRASHED),
        ] {
            let exit = Exit {
                code: None,
                signal: Some(signal),
            };
            let failure = exit.failure(String::new());
            assert!(failure.message.contains(part), "{}", failure.message);
            assert_eq!(failure.code, code);
            assert_eq!(failure.class, FailureClass::Crashed);
        }
    }

    #[test]
    fn a_worker_without_a_cage_is_no_fault_of_the_file() {
        let exit = Exit {
            code: Some(i32::from(crate::media::sandbox::EXIT_UNCONFINED)),
            signal: None,
        };
        let failure = exit.failure("landlock: no".to_owned());
        assert_eq!(failure.class, FailureClass::Resource);
        assert_eq!(failure.detail, "landlock: no");
    }

    #[test]
    fn what_a_worker_says_is_cleaned() {
        let failure = reported(Failure {
            class: FailureClass::Cancelled,
            code: "Rm -rf".to_owned(),
            message: "\u{1b}[2Jgone\nline".to_owned(),
            detail: "x".repeat(100_000),
        });
        assert_eq!(failure.class, FailureClass::Crashed);
        assert_eq!(failure.code, CRASHED);
        assert_eq!(failure.message, "[2Jgone line");
        assert_eq!(failure.detail.len(), Failure::DETAIL_MAX);
    }
}
