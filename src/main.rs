//! The `telefonist` program.

#[cfg(feature = "shell")]
fn main() -> std::process::ExitCode {
    telefonist::admin::main()
}

/// The core has no program of its own.
#[cfg(not(feature = "shell"))]
fn main() {}
