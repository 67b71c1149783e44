//! The `reelmesh` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    node::cli::main()
}
