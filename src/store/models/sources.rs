//! Everything a model can be shown: a closed list, so that a schema cannot ask for what the engine does not have.

/// The form of the values of a [`Source`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    Number,
    /// At most one text.
    Text,
    /// Any number of texts, each with a weight (1 where the source has none).
    Texts,
}

/// Where a feature's values come from. Names in a schema are those of [`Source::name`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    Exchange,
    Channel,
    SiteDomain,
    AppBundle,
    Publisher,
    Placement,
    PageCategories,
    Keywords,
    Os,
    Browser,
    DeviceType,
    Country,
    Region,
    City,
    Language,
    Connection,
    HourOfWeek,
    Hour,
    Weekday,
    Position,
    Interstitial,
    Secure,
    OfferedFormats,
    OfferedSize,
    Segments,
    ProfileTags,
    Frequency,
    RecencyDays,
    LifetimeValue,
    Monetary,
    HasProfile,
    Gender,
    AgeBand,
    LineItem,
    Campaign,
    Advertiser,
    Creative,
    Format,
    CreativeSize,
    AdCategories,
    AdDomain,
    AdLanguages,
}

/// How a source may be used, stated once beside its name.
struct Facts {
    source: Source,
    name: &'static str,
    shape: Shape,
    /// A property of the ad, not of the request.
    candidate: bool,
    /// From the person's record or segments: needs consent to personal data.
    personal: bool,
    /// Never a model input.
    sensitive: bool,
}

const fn context(source: Source, name: &'static str, shape: Shape) -> Facts {
    Facts {
        source,
        name,
        shape,
        candidate: false,
        personal: false,
        sensitive: false,
    }
}

const fn personal(source: Source, name: &'static str, shape: Shape) -> Facts {
    Facts {
        source,
        name,
        shape,
        candidate: false,
        personal: true,
        sensitive: false,
    }
}

const fn sensitive(source: Source, name: &'static str, shape: Shape) -> Facts {
    Facts {
        source,
        name,
        shape,
        candidate: false,
        personal: true,
        sensitive: true,
    }
}

const fn candidate(source: Source, name: &'static str, shape: Shape) -> Facts {
    Facts {
        source,
        name,
        shape,
        candidate: true,
        personal: false,
        sensitive: false,
    }
}

const FACTS: [Facts; 42] = [
    context(Source::Exchange, "exchange", Shape::Text),
    context(Source::Channel, "channel", Shape::Text),
    context(Source::SiteDomain, "site_domain", Shape::Text),
    context(Source::AppBundle, "app_bundle", Shape::Text),
    context(Source::Publisher, "publisher", Shape::Text),
    context(Source::Placement, "placement", Shape::Text),
    context(Source::PageCategories, "page_categories", Shape::Texts),
    context(Source::Keywords, "keywords", Shape::Texts),
    context(Source::Os, "os", Shape::Text),
    context(Source::Browser, "browser", Shape::Text),
    context(Source::DeviceType, "device_type", Shape::Text),
    context(Source::Country, "country", Shape::Text),
    context(Source::Region, "region", Shape::Text),
    context(Source::City, "city", Shape::Text),
    context(Source::Language, "language", Shape::Text),
    context(Source::Connection, "connection", Shape::Text),
    context(Source::HourOfWeek, "hour_of_week", Shape::Text),
    context(Source::Hour, "hour", Shape::Text),
    context(Source::Weekday, "weekday", Shape::Text),
    context(Source::Position, "position", Shape::Text),
    context(Source::Interstitial, "interstitial", Shape::Number),
    context(Source::Secure, "secure", Shape::Text),
    context(Source::OfferedFormats, "offered_formats", Shape::Texts),
    context(Source::OfferedSize, "offered_size", Shape::Text),
    personal(Source::Segments, "segments", Shape::Texts),
    personal(Source::ProfileTags, "profile_tags", Shape::Texts),
    personal(Source::Frequency, "frequency", Shape::Number),
    personal(Source::RecencyDays, "recency_days", Shape::Number),
    personal(Source::LifetimeValue, "ltv", Shape::Number),
    personal(Source::Monetary, "monetary", Shape::Number),
    personal(Source::HasProfile, "has_profile", Shape::Number),
    sensitive(Source::Gender, "gender", Shape::Text),
    sensitive(Source::AgeBand, "age_band", Shape::Text),
    candidate(Source::LineItem, "line_item", Shape::Text),
    candidate(Source::Campaign, "campaign", Shape::Text),
    candidate(Source::Advertiser, "advertiser", Shape::Text),
    candidate(Source::Creative, "creative", Shape::Text),
    candidate(Source::Format, "format", Shape::Text),
    candidate(Source::CreativeSize, "creative_size", Shape::Text),
    candidate(Source::AdCategories, "ad_categories", Shape::Texts),
    candidate(Source::AdDomain, "ad_domain", Shape::Text),
    candidate(Source::AdLanguages, "ad_languages", Shape::Texts),
];

impl Source {
    pub fn parse(name: &str) -> Option<Source> {
        FACTS
            .iter()
            .find(|facts| facts.name == name)
            .map(|facts| facts.source)
    }

    pub fn name(self) -> &'static str {
        self.facts().name
    }

    pub fn shape(self) -> Shape {
        self.facts().shape
    }

    pub fn is_candidate(self) -> bool {
        self.facts().candidate
    }

    pub fn is_personal(self) -> bool {
        self.facts().personal
    }

    pub fn is_sensitive(self) -> bool {
        self.facts().sensitive
    }

    /// All names of one group, for error messages.
    pub(super) fn names(candidate: bool) -> String {
        let names = FACTS
            .iter()
            .filter(|facts| facts.candidate == candidate)
            .map(|facts| facts.name);
        names.collect::<Vec<_>>().join(", ")
    }

    fn facts(self) -> &'static Facts {
        &FACTS[self as usize]
    }
}

/// The form of an ad; also what an imp offers room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AdFormat {
    Banner,
    Video,
    Audio,
    Native,
}

impl AdFormat {
    pub fn name(self) -> &'static str {
        match self {
            AdFormat::Banner => "banner",
            AdFormat::Video => "video",
            AdFormat::Audio => "audio",
            AdFormat::Native => "native",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_facts_of_a_source_stand_at_its_own_place() {
        for (index, facts) in FACTS.iter().enumerate() {
            assert_eq!(facts.source as usize, index, "{}", facts.name);
            assert_eq!(Source::parse(facts.name), Some(facts.source));
        }
    }

    #[test]
    fn what_is_sensitive_is_personal() {
        assert!(FACTS.iter().all(|facts| facts.personal || !facts.sensitive));
    }
}
