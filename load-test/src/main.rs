//! The `load-test` command. Invariant: 0 says that all went well, 1 that something failed, 2 that the command was wrong.

use load_test::options::{Command, Wanted, WorldCommand};
use load_test::run::{self, Verdict};
use load_test::{saturate, world_files};
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let wanted = Wanted::parse(std::env::args_os()).unwrap_or_else(|error| error.exit());
    let done = match &wanted {
        Wanted::Run(options) => run::run(options),
        Wanted::Command(command) => match &**command {
            Command::Saturate(options) => saturate::saturate(options),
            Command::World(WorldCommand::Population(options)) => world_files::write_population(options),
            Command::World(WorldCommand::Rows(options)) => world_files::write_rows(options),
        },
    };
    match done {
        Ok(Verdict::Clean) => ExitCode::SUCCESS,
        Ok(Verdict::Errors) => ExitCode::from(1),
        Err(run::Error::Usage(message)) => {
            eprintln!("load-test: {message}");
            ExitCode::from(2)
        }
        Err(run::Error::Failed(error)) => {
            eprintln!("load-test: {error:#}");
            ExitCode::from(1)
        }
    }
}
