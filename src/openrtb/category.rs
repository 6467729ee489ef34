//! Content categories: does a blocked or allowed category cover another?

/// True when both ids are equal, or when `parent` is an IAB Content 1.0 category and `child` stands below it:
/// `IAB1` covers `IAB1-6`, and `IAB8` covers `IAB8-5` but not `IAB80`. Both ids must be of one taxonomy. ASCII case
/// does not count. Ids of later taxonomies show no parent, so only equal ones cover each other.
pub fn covers(parent: &str, child: &str) -> bool {
    let (parent, child) = (parent.as_bytes(), child.as_bytes());
    match child.split_at_checked(parent.len()) {
        Some((head, rest)) if head.eq_ignore_ascii_case(parent) => {
            rest.is_empty() || (rest[0] == b'-' && is_content_1(parent))
        }
        _ => false,
    }
}

fn is_content_1(id: &[u8]) -> bool {
    id.get(..3)
        .is_some_and(|prefix| prefix.eq_ignore_ascii_case(b"IAB"))
        && id.len() > 3
}

#[cfg(test)]
mod tests {
    use super::covers;

    #[test]
    fn a_category_covers_itself_and_what_stands_below_it() {
        for (parent, child, expected) in [
            ("IAB1", "IAB1", true),
            ("IAB1", "IAB1-6", true),
            ("IAB8", "IAB8-5", true),
            ("IAB8", "IAB80", false),
            ("IAB8", "IAB80-1", false),
            ("IAB8-5", "IAB8", false),
            ("IAB8-1", "IAB8-18", false),
            ("iab25", "IAB25-3", true),
            ("IAB25-3", "iab25-3", true),
            ("596", "596", true),
            ("59", "596", false),
            ("59", "59-6", false),
            ("JLBCU7", "jlbcu7", true),
            ("IAB", "IAB-1", false),
            ("", "", true),
            ("", "IAB1", false),
            ("IAB1", "", false),
            ("é", "e", false),
        ] {
            assert_eq!(covers(parent, child), expected, "{parent:?} {child:?}");
        }
    }
}
