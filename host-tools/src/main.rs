//! The command `teff`: see [`teff_tools::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    teff_tools::cli::main()
}
