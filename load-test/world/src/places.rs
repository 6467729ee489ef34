//! Where people are and what they hold: places and devices as tables. Invariant: order is part of the world; append only.

/// A city with its share of the population.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    /// ISO-3166-1 alpha-3.
    pub country: &'static str,
    pub region: &'static str,
    pub city: &'static str,
    pub zip: &'static str,
    pub lat: f64,
    pub lon: f64,
    /// Minutes ahead of UTC; the world has no daylight saving.
    pub utc_offset_min: i16,
    /// ISO-639-1 of most people there.
    pub language: &'static str,
    pub weight: f64,
}

/// A device and its browser, as a request describes them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DeviceModel {
    /// AdCOM device type: 2 computer, 3 TV, 4 phone, 5 tablet.
    pub kind: u8,
    pub make: &'static str,
    pub model: &'static str,
    pub os: &'static str,
    pub os_version: &'static str,
    /// `{}` stands for the browser's major version.
    pub user_agent: &'static str,
    pub weight: f64,
}

impl DeviceModel {
    /// Apps run on phones, tablets and TVs.
    pub fn runs_apps(&self) -> bool {
        self.kind != 2
    }
}

const fn place(
    (country, region, city, zip): (&'static str, &'static str, &'static str, &'static str),
    (lat, lon): (f64, f64),
    utc_offset_min: i16,
    language: &'static str,
    weight: f64,
) -> Place {
    Place {
        country,
        region,
        city,
        zip,
        lat,
        lon,
        utc_offset_min,
        language,
        weight,
    }
}

pub const PLACES: [Place; 32] = [
    place(
        ("USA", "NY", "New York", "10001"),
        (40.71, -74.01),
        -300,
        "en",
        9.0,
    ),
    place(
        ("USA", "CA", "Los Angeles", "90012"),
        (34.05, -118.24),
        -480,
        "en",
        7.5,
    ),
    place(
        ("USA", "IL", "Chicago", "60601"),
        (41.88, -87.63),
        -360,
        "en",
        6.0,
    ),
    place(
        ("USA", "TX", "Houston", "77002"),
        (29.76, -95.37),
        -360,
        "en",
        5.5,
    ),
    place(
        ("USA", "AZ", "Phoenix", "85003"),
        (33.45, -112.07),
        -420,
        "en",
        4.0,
    ),
    place(
        ("USA", "PA", "Philadelphia", "19102"),
        (39.95, -75.17),
        -300,
        "en",
        4.0,
    ),
    place(("USA", "TX", "Dallas", "75201"), (32.78, -96.80), -360, "en", 4.5),
    place(
        ("USA", "CA", "San Francisco", "94103"),
        (37.77, -122.42),
        -480,
        "en",
        3.5,
    ),
    place(
        ("USA", "WA", "Seattle", "98101"),
        (47.61, -122.33),
        -480,
        "en",
        3.0,
    ),
    place(
        ("USA", "CO", "Denver", "80202"),
        (39.74, -104.99),
        -420,
        "en",
        2.5,
    ),
    place(("USA", "MA", "Boston", "02108"), (42.36, -71.06), -300, "en", 3.0),
    place(
        ("USA", "GA", "Atlanta", "30303"),
        (33.75, -84.39),
        -300,
        "en",
        3.5,
    ),
    place(("USA", "FL", "Miami", "33130"), (25.76, -80.19), -300, "es", 3.5),
    place(("USA", "FL", "Tampa", "33602"), (27.95, -82.46), -300, "en", 2.5),
    place(
        ("USA", "WI", "Milwaukee", "53202"),
        (43.04, -87.91),
        -360,
        "en",
        1.5,
    ),
    place(
        ("USA", "MN", "Minneapolis", "55401"),
        (44.98, -93.27),
        -360,
        "en",
        2.0,
    ),
    place(
        ("USA", "MO", "St. Louis", "63101"),
        (38.63, -90.20),
        -360,
        "en",
        1.8,
    ),
    place(
        ("USA", "OH", "Columbus", "43215"),
        (39.96, -83.00),
        -300,
        "en",
        2.0,
    ),
    place(
        ("USA", "NC", "Charlotte", "28202"),
        (35.23, -80.84),
        -300,
        "en",
        2.0,
    ),
    place(
        ("USA", "MI", "Detroit", "48226"),
        (42.33, -83.05),
        -300,
        "en",
        2.2,
    ),
    place(
        ("USA", "OR", "Portland", "97204"),
        (45.52, -122.68),
        -480,
        "en",
        1.6,
    ),
    place(
        ("USA", "NV", "Las Vegas", "89101"),
        (36.17, -115.14),
        -480,
        "en",
        1.6,
    ),
    place(
        ("USA", "TN", "Nashville", "37203"),
        (36.16, -86.78),
        -360,
        "en",
        1.6,
    ),
    place(
        ("USA", "LA", "New Orleans", "70112"),
        (29.95, -90.07),
        -360,
        "en",
        1.2,
    ),
    place(("CAN", "ON", "Toronto", "M5V"), (43.65, -79.38), -300, "en", 5.0),
    place(("CAN", "QC", "Montreal", "H2Y"), (45.50, -73.57), -300, "fr", 3.0),
    place(
        ("CAN", "BC", "Vancouver", "V6B"),
        (49.28, -123.12),
        -480,
        "en",
        2.2,
    ),
    place(("CAN", "AB", "Calgary", "T2P"), (51.05, -114.07), -420, "en", 1.6),
    place(("GBR", "LND", "London", "EC1A"), (51.51, -0.13), 0, "en", 4.0),
    place(("GBR", "MAN", "Manchester", "M1"), (53.48, -2.24), 0, "en", 1.5),
    place(("DEU", "BE", "Berlin", "10115"), (52.52, 13.40), 60, "de", 1.8),
    place(("FRA", "IDF", "Paris", "75001"), (48.86, 2.35), 60, "fr", 1.8),
];

const fn device(
    kind: u8,
    (make, model): (&'static str, &'static str),
    (os, os_version): (&'static str, &'static str),
    user_agent: &'static str,
    weight: f64,
) -> DeviceModel {
    DeviceModel {
        kind,
        make,
        model,
        os,
        os_version,
        user_agent,
        weight,
    }
}

pub const DEVICES: [DeviceModel; 12] = [
    device(
        2,
        ("", ""),
        ("Windows", "10.0"),
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}.0.0.0 Safari/537.36",
        22.0,
    ),
    device(
        2,
        ("", ""),
        ("Windows", "10.0"),
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}.0.0.0 Safari/537.36 Edg/{}.0.0.0",
        7.0,
    ),
    device(
        2,
        ("", ""),
        ("Windows", "10.0"),
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:{}.0) Gecko/20100101 Firefox/{}.0",
        4.0,
    ),
    device(
        2,
        ("Apple", "Macintosh"),
        ("macOS", "10.15.7"),
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}.0.0.0 Safari/537.36",
        8.0,
    ),
    device(
        2,
        ("Apple", "Macintosh"),
        ("macOS", "10.15.7"),
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.{} Safari/605.1.15",
        5.0,
    ),
    device(
        4,
        ("Apple", "iPhone"),
        ("iOS", "18.5"),
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E{} Safari/604.1",
        20.0,
    ),
    device(
        4,
        ("Samsung", "SM-S921B"),
        ("Android", "15"),
        "Mozilla/5.0 (Linux; Android 15; SM-S921B) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}.0.0.0 Mobile Safari/537.36",
        10.0,
    ),
    device(
        4,
        ("Google", "Pixel 8"),
        ("Android", "16"),
        "Mozilla/5.0 (Linux; Android 16; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}.0.0.0 Mobile Safari/537.36",
        6.0,
    ),
    device(
        4,
        ("Motorola", "moto g84"),
        ("Android", "14"),
        "Mozilla/5.0 (Linux; Android 14; moto g84) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}.0.0.0 Mobile Safari/537.36",
        6.0,
    ),
    device(
        5,
        ("Apple", "iPad"),
        ("iPadOS", "18.5"),
        "Mozilla/5.0 (iPad; CPU OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E{} Safari/604.1",
        6.0,
    ),
    device(
        5,
        ("Samsung", "SM-X810"),
        ("Android", "14"),
        "Mozilla/5.0 (Linux; Android 14; SM-X810) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}.0.0.0 Safari/537.36",
        3.0,
    ),
    device(
        3,
        ("Samsung", "QE55"),
        ("Tizen", "7.0"),
        "Mozilla/5.0 (SMART-TV; Linux; Tizen 7.0) AppleWebKit/537.36 (KHTML, like Gecko) Version/7.0 TV Safari/537.36 SamsungBrowser/{}",
        3.0,
    ),
];
