//! The `tilts` binary: everything is in the library.

fn main() -> std::process::ExitCode {
    tilts::cli::main()
}
