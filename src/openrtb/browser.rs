//! What a `User-Agent` string says about browser, system, kind of device and crawlers.
//!
//! One pass over the text, no allocation. Only families are told apart: enough for targeting where the request has
//! no structured fields, and never more than a hint.

/// What was recognised in a `ua`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UserAgent {
    /// `chrome`, `safari`, `firefox`, `edge`, `opera`, `msie` or `samsung`.
    pub browser: Option<&'static str>,
    /// `Android`, `iOS`, `Windows`, `macOS`, `Linux` or `ChromeOS`.
    pub os: Option<&'static str>,
    /// AdCOM device type: 2 PC, 3 connected TV, 4 phone, 5 tablet.
    pub kind: Option<u32>,
    /// A known crawler, a script, or a browser without a screen.
    pub crawler: bool,
}

/// Reads a `ua`.
pub fn recognise(ua: &str) -> UserAgent {
    let seen = scan(ua.as_bytes());
    let any = |bits: u32| seen & bits != 0;
    let first =
        |table: &[(u32, &'static str)]| table.iter().find(|(bits, _)| any(*bits)).map(|(_, name)| *name);
    UserAgent {
        browser: first(&BROWSERS),
        os: first(&SYSTEMS),
        kind: kind(seen),
        crawler: any(CRAWLER),
    }
}

/// A known crawler, a script, or a browser without a screen.
pub fn is_crawler(ua: &str) -> bool {
    scan(ua.as_bytes()) & CRAWLER != 0
}

/// The family that the brands of `sua.browsers` name, the most specific one where several do: every browser built on
/// Chromium also lists Chromium.
pub fn family_of_brands<'b>(brands: impl Iterator<Item = &'b str>) -> Option<&'static str> {
    let rank = |brand: &str| {
        BRANDS
            .iter()
            .position(|(name, _)| brand.eq_ignore_ascii_case(name))
    };
    brands.filter_map(rank).min().map(|rank| BRANDS[rank].1)
}

const EDGE: u32 = 1 << 0;
const SAMSUNG: u32 = 1 << 1;
const OPERA: u32 = 1 << 2;
const FIREFOX: u32 = 1 << 3;
const MSIE: u32 = 1 << 4;
const CHROME: u32 = 1 << 5;
const SAFARI: u32 = 1 << 6;
const ANDROID: u32 = 1 << 7;
const IPHONE: u32 = 1 << 8;
const IPAD: u32 = 1 << 9;
const WINDOWS: u32 = 1 << 10;
const MAC: u32 = 1 << 11;
const LINUX: u32 = 1 << 12;
const CHROME_OS: u32 = 1 << 13;
const MOBILE: u32 = 1 << 14;
const TABLET: u32 = 1 << 15;
const TV: u32 = 1 << 16;
const CRAWLER: u32 = 1 << 17;

/// The first that was seen counts: most browsers also name the ones below them.
const BROWSERS: [(u32, &str); 7] = [
    (EDGE, "edge"),
    (SAMSUNG, "samsung"),
    (OPERA, "opera"),
    (FIREFOX, "firefox"),
    (MSIE, "msie"),
    (CHROME, "chrome"),
    (SAFARI, "safari"),
];

/// Windows phones name Android, Android names Linux, and iOS is "like Mac OS X".
const SYSTEMS: [(u32, &str); 6] = [
    (WINDOWS, "Windows"),
    (ANDROID, "Android"),
    (IPHONE | IPAD, "iOS"),
    (CHROME_OS, "ChromeOS"),
    (MAC, "macOS"),
    (LINUX, "Linux"),
];

/// The most specific brand first.
const BRANDS: [(&str, &str); 12] = [
    ("Microsoft Edge", "edge"),
    ("Edge", "edge"),
    ("Samsung Internet", "samsung"),
    ("Opera", "opera"),
    ("Opera Mobile", "opera"),
    ("Firefox", "firefox"),
    ("Safari", "safari"),
    ("Mobile Safari", "safari"),
    ("Google Chrome", "chrome"),
    ("Chrome", "chrome"),
    ("Chromium", "chrome"),
    ("Android WebView", "chrome"),
];

/// Lower-case words by their first byte, and what they stand for at the start of a word.
fn words(first: u8) -> &'static [(&'static [u8], u32)] {
    match first {
        b'a' => &[(b"android", ANDROID), (b"appletv", TV)],
        b'b' => &[(b"bot", CRAWLER), (b"bingpreview", CRAWLER), (b"bravia", TV)],
        b'c' => &[
            (b"chrome/", CHROME),
            (b"chromium/", CHROME),
            (b"crios/", CHROME),
            (b"cros ", CHROME_OS),
            (b"crkey", TV),
            (b"crawl", CRAWLER),
            (b"curl/", CRAWLER),
        ],
        b'e' => &[
            (b"edg/", EDGE),
            (b"edge/", EDGE),
            (b"edga/", EDGE),
            (b"edgios/", EDGE),
        ],
        b'f' => &[
            (b"firefox/", FIREFOX),
            (b"fxios/", FIREFOX),
            (b"facebookexternalhit", CRAWLER),
        ],
        b'g' => &[
            (b"googletv", TV),
            (b"google-inspectiontool", CRAWLER),
            (b"go-http-client", CRAWLER),
        ],
        b'h' => &[(b"hbbtv", TV), (b"headless", CRAWLER)],
        b'i' => &[(b"iphone", IPHONE), (b"ipod", IPHONE), (b"ipad", IPAD)],
        b'l' => &[(b"linux", LINUX), (b"lighthouse", CRAWLER)],
        b'm' => &[
            (b"mobile", MOBILE),
            (b"macintosh", MAC),
            (b"mac os x", MAC),
            (b"msie ", MSIE),
            (b"mediapartners-google", CRAWLER),
        ],
        b'o' => &[(b"opr/", OPERA), (b"opera", OPERA)],
        b'p' => &[(b"phantomjs", CRAWLER), (b"python-", CRAWLER)],
        b'r' => &[(b"roku", TV)],
        b's' => &[
            (b"safari/", SAFARI),
            (b"samsungbrowser", SAMSUNG),
            (b"smart-tv", TV),
            (b"smarttv", TV),
            (b"spider", CRAWLER),
            (b"slurp", CRAWLER),
            (b"scrapy", CRAWLER),
        ],
        b't' => &[(b"trident/", MSIE), (b"tablet", TABLET)],
        b'w' => &[(b"windows", WINDOWS), (b"wget/", CRAWLER)],
        _ => &[],
    }
}

/// Words that also count at the end of another: `Googlebot`, `Bytespider`.
const SUFFIXES: [(&[u8], u32); 3] = [(b"bot", CRAWLER), (b"spider", CRAWLER), (b"crawl", CRAWLER)];

fn scan(ua: &[u8]) -> u32 {
    let mut seen = 0;
    let mut in_word = false;
    for (at, byte) in ua.iter().enumerate() {
        let first = byte.to_ascii_lowercase();
        let candidates = match (in_word, first) {
            (false, _) => words(first),
            (true, b'b' | b's' | b'c') => &SUFFIXES,
            (true, _) => &[],
        };
        for (word, bit) in candidates {
            let here = ua.get(at..at + word.len());
            if here.is_some_and(|here| here.eq_ignore_ascii_case(word)) && (*word != b"bot" || is_bot(ua, at))
            {
                seen |= bit;
            }
        }
        in_word = byte.is_ascii_alphabetic();
    }
    seen
}

/// `bot` names a crawler at the end of a word (`Googlebot/2.1`, `AhrefsBot;`), but not in `Cubot`, a maker of phones.
fn is_bot(ua: &[u8], at: usize) -> bool {
    let ends_word = ua
        .get(at + 3)
        .is_none_or(|next| !next.is_ascii_alphanumeric() && *next != b'_');
    let made_by_cubot = at >= 2 && ua[at - 2..at].eq_ignore_ascii_case(b"cu");
    ends_word && !made_by_cubot
}

fn kind(seen: u32) -> Option<u32> {
    let any = |bits: u32| seen & bits != 0;
    if any(TV) {
        Some(3)
    } else if any(IPAD | TABLET) || (any(ANDROID) && !any(MOBILE)) {
        Some(5)
    } else if any(MOBILE | IPHONE) {
        Some(4)
    } else if any(WINDOWS | MAC | LINUX | CHROME_OS) {
        Some(2)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(ua: &str, browser: &str, os: &str, kind: u32, crawler: bool) {
        let seen = recognise(ua);
        assert_eq!(seen.browser.unwrap_or(""), browser, "{ua}");
        assert_eq!(seen.os.unwrap_or(""), os, "{ua}");
        assert_eq!(seen.kind.unwrap_or(0), kind, "{ua}");
        assert_eq!(seen.crawler, crawler, "{ua}");
        assert_eq!(is_crawler(ua), crawler, "{ua}");
    }

    #[test]
    fn families_are_recognised_in_user_agents() {
        const CHROME_TAIL: &str = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0";
        let cases = [
            (
                format!("Mozilla/5.0 (Windows NT 10.0; Win64; x64) {CHROME_TAIL} Safari/537.36"),
                "chrome",
                "Windows",
                2,
            ),
            (
                format!("Mozilla/5.0 (Windows NT 10.0) {CHROME_TAIL} Safari/537.36 Edg/124.0"),
                "edge",
                "Windows",
                2,
            ),
            (
                format!("Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) {CHROME_TAIL} Safari/537.36"),
                "chrome",
                "ChromeOS",
                2,
            ),
            (
                format!("Mozilla/5.0 (Linux; Android 13; Pixel 7) {CHROME_TAIL} Mobile Safari/537.36"),
                "chrome",
                "Android",
                4,
            ),
            (
                format!("Mozilla/5.0 (Linux; Android 13; SM-X700) {CHROME_TAIL} Safari/537.36"),
                "chrome",
                "Android",
                5,
            ),
            (
                format!(
                    "Mozilla/5.0 (Linux; Android 13) SamsungBrowser/24.0 {CHROME_TAIL} Mobile Safari/537.36"
                ),
                "samsung",
                "Android",
                4,
            ),
            (
                format!("Mozilla/5.0 (Linux; Android 9; CUBOT X19) {CHROME_TAIL} Mobile"),
                "chrome",
                "Android",
                4,
            ),
        ];
        for (ua, browser, os, kind) in &cases {
            check(ua, browser, os, *kind, false);
        }
        for (ua, browser, os, kind) in [
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) \
                 Version/17.4 Mobile/15E148 Safari/604.1",
                "safari",
                "iOS",
                4,
            ),
            (
                "Mozilla/5.0 (iPad; CPU OS 16_0 like Mac OS X) CriOS/112.0 Mobile Safari/604.1",
                "chrome",
                "iOS",
                5,
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:125.0) Gecko Firefox/125.0",
                "firefox",
                "macOS",
                2,
            ),
            (
                "Mozilla/5.0 (compatible; MSIE 9.0; Windows NT 6.1; Trident/5.0)",
                "msie",
                "Windows",
                2,
            ),
            (
                "Mozilla/5.0 (Windows NT 6.1; Trident/7.0; rv:11.0) like Gecko",
                "msie",
                "Windows",
                2,
            ),
            (
                "Opera/9.80 (Windows NT 6.1) Presto/2.10.229 Version/11.60",
                "opera",
                "Windows",
                2,
            ),
            (
                "Mozilla/5.0 (SMART-TV; Linux; Tizen 5.0) AppleWebKit/537.36",
                "",
                "Linux",
                3,
            ),
            ("Roku/DVP-9.10", "", "", 3),
            ("", "", "", 0),
            ("\u{130}bo\u{fffd}", "", "", 0),
        ] {
            check(ua, browser, os, kind, false);
        }
    }

    #[test]
    fn crawlers_and_scripts_are_recognised() {
        for (ua, expected) in [
            (
                "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
                true,
            ),
            (
                "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
                true,
            ),
            ("Mozilla/5.0 (compatible; AhrefsBot; x)", true),
            (
                "Mozilla/5.0 (X11; Linux) HeadlessChrome/120.0 Safari/537.36",
                true,
            ),
            ("Mediapartners-Google", true),
            ("Baiduspider+(+http://www.baidu.com/search/spider.htm)", true),
            ("python-requests/2.31", true),
            ("curl/8.0", true),
            ("SomeBot", true),
            ("Mozilla/5.0 (Linux; Android 9; CUBOT) Mobile", false),
            ("Mozilla/5.0 (Linux; Android 9; CUBOT_P30) Mobile", false),
            ("Mozilla/5.0 botanical", false),
        ] {
            assert_eq!(is_crawler(ua), expected, "{ua}");
        }
    }

    #[test]
    fn the_most_specific_brand_counts() {
        for (brands, expected) in [
            (&["Not;A Brand", "Chromium", "Microsoft Edge"][..], Some("edge")),
            (&["Chromium", "Google Chrome"], Some("chrome")),
            (&["opera", "Chromium"], Some("opera")),
            (&["Not;A Brand"], None),
            (&[], None),
        ] {
            assert_eq!(family_of_brands(brands.iter().copied()), expected, "{brands:?}");
        }
    }
}
