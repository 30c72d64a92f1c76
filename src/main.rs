//! The `chaterimo` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    chaterimo::cli::run()
}
