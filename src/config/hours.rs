//! Hours of the week as people write them: `mon-fri 08-12`, `sat,sun 00-24`, `22-06`.

use super::document::Node;
use crate::store::campaigns::definition::Hours;

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const HOURS_PER_WEEK: usize = 168;

/// The hours that any of the texts names.
pub(super) fn read(node: &Node<'_>) -> Option<Hours> {
    let sets = node.list(read_one);
    if node.value().as_array().is_some_and(|texts| texts.is_empty()) {
        node.problem(
            "this leaves no hour of the week",
            "write for example `[\"mon-fri 08-18\"]`, or leave the key out",
        );
    }
    let union = |a: [u64; 3], b: [u64; 3]| std::array::from_fn(|i| a[i] | b[i]);
    sets.into_iter().reduce(union).map(|set| Hours(Some(set)))
}

/// The hours of `wanted` that are not in `refused`.
pub(super) fn without(wanted: Hours, refused: Hours) -> Hours {
    let Some(refused) = refused.0 else { return wanted };
    let wanted = wanted.0.unwrap_or_else(all);
    Hours(Some(std::array::from_fn(|i| wanted[i] & !refused[i])))
}

fn read_one(node: &Node<'_>) -> Option<[u64; 3]> {
    let text = node.text()?;
    let set = parse(text);
    if set.is_none() {
        let fix = "write days, then hours from 00 to 24, such as `mon-fri 08-12` or `sat,sun 00-24`";
        node.problem(format!("`{text}` names no hours"), fix);
    }
    set
}

/// `DAYS HOURS`; without days, every day. Hours that wrap around midnight end on the next day.
fn parse(text: &str) -> Option<[u64; 3]> {
    let mut words = text.split_whitespace();
    let (first, second) = (words.next()?, words.next());
    let (days, hours) = second.map_or(("mon-sun", first), |hours| (first, hours));
    let (from, to) = hours.split_once('-')?;
    let (from, to) = (hour(from)?, hour(to)?);
    if words.next().is_some() || from == to || from == 24 {
        return None;
    }
    let length = if from < to { to - from } else { to + 24 - from };
    let mut set = [0; 3];
    for day in parse_days(days)? {
        for hour in (day * 24 + from)..(day * 24 + from + length) {
            insert(&mut set, hour % HOURS_PER_WEEK);
        }
    }
    Some(set)
}

fn parse_days(text: &str) -> Option<Vec<usize>> {
    let day = |name: &str| DAYS.iter().position(|day| *day == name);
    let mut days = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (day(first)?, day(last)?);
        // `sat-mon` goes over the end of the week.
        let count = (last + 7 - first) % 7;
        days.extend((first..=first + count).map(|day| day % 7));
    }
    Some(days)
}

fn hour(text: &str) -> Option<usize> {
    let two_digits = text.len() <= 2 && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|hour| two_digits && *hour <= 24)
}

/// Hour `h` is bit `h % 64` of word `h / 64`.
fn insert(set: &mut [u64; 3], hour: usize) {
    set[hour / 64] |= 1 << (hour % 64);
}

fn all() -> [u64; 3] {
    let mut set = [0; 3];
    (0..HOURS_PER_WEEK).for_each(|hour| insert(&mut set, hour));
    set
}

/// Runs of hours, the inverse of reading: `mon 08-12`.
pub(super) fn show(hours: Hours) -> Vec<String> {
    let Some(set) = hours.0 else {
        return vec!["mon-sun 00-24".to_owned()];
    };
    let has = |hour: usize| set[hour / 64] >> (hour % 64) & 1 == 1;
    let mut runs = Vec::new();
    for (day, name) in DAYS.iter().enumerate() {
        let mut from = None;
        for hour in 0..=24 {
            let inside = hour < 24 && has(day * 24 + hour);
            match (from, inside) {
                (None, true) => from = Some(hour),
                (Some(start), false) => {
                    runs.push(format!("{name} {start:02}-{hour:02}"));
                    from = None;
                }
                _ => {}
            }
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_are_read_and_shown_again() {
        for (text, expected) in [
            (
                "mon-fri 08-12",
                "mon 08-12,tue 08-12,wed 08-12,thu 08-12,fri 08-12",
            ),
            ("sat,sun 00-24", "sat 00-24,sun 00-24"),
            ("fri 22-02", "fri 22-24,sat 00-02"),
            ("sun 23-01", "mon 00-01,sun 23-24"),
            ("sat-mon 07-08", "mon 07-08,sat 07-08,sun 07-08"),
        ] {
            assert_eq!(show(Hours(parse(text))).join(","), expected, "{text}");
        }
        assert_eq!(parse("00-24"), Some(all()));
        for bad in [
            "",
            "mon",
            "mon 8",
            "mon 08-25",
            "mon 08-08",
            "mon 24-08",
            "day 08-12",
            "mon 08-12 x",
            "mon +8-12",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn refused_hours_are_taken_off_the_wanted_ones() {
        let refused = Hours(parse("tue-sun 00-24"));
        assert_eq!(show(without(Hours(None), refused)), ["mon 00-24"]);
        assert_eq!(
            show(without(Hours(parse("mon,tue 10-12")), refused)),
            ["mon 10-12"]
        );
    }
}
