//! `cargo xtask tidy`: the rules of the house that neither compiler nor linter can hold.

mod floors;
mod headers;
mod tree;

use std::process::ExitCode;

use tree::{Complaint, Tree};

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some("tidy") {
        return report(&check(&Tree::of_workspace()));
    }
    complain("usage: cargo xtask tidy");
    ExitCode::from(2)
}

/// Every complaint about the tree, in order of path.
fn check(tree: &Tree) -> Vec<Complaint> {
    let mut complaints = headers::check(tree);
    complaints.extend(floors::check(tree));
    complaints.sort();
    complaints
}

fn report(complaints: &[Complaint]) -> ExitCode {
    for complaint in complaints {
        complain(&complaint.to_string());
    }
    if complaints.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

#[expect(clippy::print_stderr, reason = "this program talks to a developer")]
fn complain(text: &str) {
    eprintln!("{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_house_is_in_order() {
        let complaints: Vec<String> = check(&Tree::of_workspace())
            .iter()
            .map(ToString::to_string)
            .collect();
        assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    }

    #[test]
    fn the_check_can_fail() {
        let tree = Tree::from_files([
            (
                "node/src/blob/store.rs",
                "//! Originals.\nuse crate::ingest::Handle;\n",
            ),
            ("node/src/media/mod.rs", "use crate::publish::names;\n"),
            (
                "coordinator/src/catalog/video.rs",
                "//! Pure: videos.\nuse crate::raft::Handle;\n",
            ),
            ("node/src/edge/cache.rs", "//! Pure: what to keep.\n"),
            (
                "node/src/worker/mod.rs",
                "//! Child.\nuse coordinator::catalog::Catalog;\n",
            ),
        ]);
        let complaints = check(&tree);
        let rules: Vec<&str> = complaints.iter().map(|c| c.rule).collect();
        assert_eq!(
            rules,
            [
                "pure-attribute",
                "pure-imports",
                "floors",
                "pure-attribute",
                "floors",
                "header",
                "floors"
            ],
            "{complaints:?}"
        );
    }
}
