fn main() -> std::process::ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some("engine") => match regia::engine::run() {
            Ok(()) => std::process::ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{error}");
                std::process::ExitCode::FAILURE
            }
        },
        _ => std::process::ExitCode::from(2),
    }
}
