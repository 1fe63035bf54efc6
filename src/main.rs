//! The `tilts` binary: everything is in the library.

/// Messages come and go by the hundred a second: the system's own allocator gives their memory back and asks for it anew each time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    tilts::cli::main()
}
