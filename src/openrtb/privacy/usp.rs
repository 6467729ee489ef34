//! US privacy strings (USP API 1.0). Invariant: a string of another form counts as opted out, as nobody can say what
//! it means.

/// Four characters: version 1, notice given, opted out of sale, covered by the LSPA; each but the first `Y`, `N` or `-`.
pub fn opts_out_of_sale(us_privacy: &str) -> bool {
    match us_privacy.as_bytes() {
        [b'1', choices @ ..] if choices.len() == 3 && choices.iter().all(|c| b"YN-yn".contains(c)) => {
            choices[1].eq_ignore_ascii_case(&b'Y')
        }
        _ => true,
    }
}
