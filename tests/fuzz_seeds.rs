//! Where fuzzing starts and what it found: every seed runs through the function of its fuzz target.

#[path = "../fuzz/src/lib.rs"]
mod fuzz;

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

#[test]
fn every_seed_keeps_the_law_of_its_target() {
    let mut broken = Vec::new();
    for (name, target) in fuzz::TARGETS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("fuzz/seeds")
            .join(name);
        let seeds = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let mut run = 0;
        for seed in seeds {
            let path = seed.expect("a readable folder").path();
            let data = fs::read(&path).expect("a readable seed");
            run += 1;
            if catch_unwind(|| target(&data)).is_err() {
                broken.push(path);
            }
        }
        assert!(run > 0, "{} has no seed", folder.display());
    }
    assert!(broken.is_empty(), "{broken:#?}");
}
