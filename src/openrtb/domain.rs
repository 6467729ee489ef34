//! Domain names: does a blocked or targeted domain cover another?

/// True when `domain` is `blocked` or a subdomain of it. ASCII case, trailing dots and spaces around the names do
/// not count, and a `www.` in front of `blocked` is no part of it: who blocks `www.brand.example` means the brand.
/// An empty `blocked` covers nothing.
pub fn covers(blocked: &str, domain: &str) -> bool {
    let (blocked, domain) = (trimmed(blocked), trimmed(domain));
    let blocked = match blocked.split_at_checked(4) {
        Some((prefix, rest)) if prefix.eq_ignore_ascii_case("www.") => rest,
        _ => blocked,
    };
    let Some(start) = domain.len().checked_sub(blocked.len()) else {
        return false;
    };
    !blocked.is_empty()
        && domain.as_bytes()[start..].eq_ignore_ascii_case(blocked.as_bytes())
        && (start == 0 || domain.as_bytes()[start - 1] == b'.')
}

fn trimmed(name: &str) -> &str {
    name.trim_ascii().trim_end_matches('.')
}

#[cfg(test)]
mod tests {
    use super::covers;

    #[test]
    fn a_domain_covers_itself_and_its_subdomains() {
        for (blocked, domain, expected) in [
            ("brand.example", "brand.example", true),
            ("brand.example", "sub.brand.example", true),
            ("brand.example", "a.b.brand.example", true),
            ("BRAND.example", "Sub.Brand.EXAMPLE", true),
            ("brand.example", "otherbrand.example", false),
            ("sub.brand.example", "brand.example", false),
            ("brand.example", "brand.example.com", false),
            ("brand.example.", "brand.example", true),
            ("brand.example", "brand.example.", true),
            ("www.brand.example", "brand.example", true),
            ("brand.example", "www.brand.example", true),
            (" brand.example ", "brand.example", true),
            ("example", "brand.example", true),
            ("", "brand.example", false),
            (".", "brand.example", false),
            ("www.", "www.example", false),
            ("brand.example", "", false),
            ("é.example", "x.é.example", true),
        ] {
            assert_eq!(covers(blocked, domain), expected, "{blocked:?} {domain:?}");
        }
    }
}
