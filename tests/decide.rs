//! The bid decision from the outside: golden files, laws that hold for all decisions, and prices worked out again by hand.

#[path = "decide/golden.rs"]
mod golden;
#[path = "decide/laws.rs"]
mod laws;
#[path = "decide/stage.rs"]
mod stage;

#[test]
fn every_golden_case_is_decided_as_it_says() {
    let cases = golden::run_all();
    println!("{cases} cases");
    assert!(cases >= 45, "{cases} cases: some files are not found");
}
