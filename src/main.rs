//! The `telefonist` program.

/// A call makes and drops hundreds of small things, on several threads.
#[cfg(feature = "shell")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[cfg(feature = "shell")]
fn main() -> std::process::ExitCode {
    telefonist::admin::main()
}

/// The core has no program of its own.
#[cfg(not(feature = "shell"))]
fn main() {}
