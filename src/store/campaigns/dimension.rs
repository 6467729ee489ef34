//! The names of everything that can keep a line item from an opportunity, for the funnel, *explain* and metrics.

use std::fmt;

macro_rules! dimensions {
    ($($(#[$doc:meta])* $variant:ident = $name:literal),+ $(,)?) => {
        /// One way of not matching; declared in the order in which the naive matcher checks them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Dimension { $($(#[$doc])* $variant),+ }

        impl Dimension {
            pub const ALL: &'static [Dimension] = &[$(Dimension::$variant),+];

            /// Stable: stands in metrics and logs.
            pub fn name(self) -> &'static str {
                match self { $(Dimension::$variant => $name),+ }
            }
        }
    };
}

dimensions! {
    /// The line item, its campaign or its advertiser is paused or ended, or no creative is active.
    Status = "status",
    /// Outside the dates of the line item or its campaign.
    Flight = "flight",
    /// No creative of a kind and size that the imp takes.
    Format = "format",
    Exchange = "exchange",
    Channel = "channel",
    Deal = "deal",
    Country = "country",
    Region = "region",
    City = "city",
    Postcode = "postcode",
    Radius = "radius",
    DeviceType = "device_type",
    Make = "make",
    Model = "model",
    Os = "os",
    OsVersion = "os_version",
    Browser = "browser",
    Language = "language",
    Connection = "connection",
    Carrier = "carrier",
    Hours = "hours",
    Site = "site",
    App = "app",
    Bundle = "bundle",
    Dooh = "dooh",
    Venue = "venue",
    Publisher = "publisher",
    Placement = "placement",
    Category = "category",
    Keyword = "keyword",
    Position = "position",
    Instl = "instl",
    Rewarded = "rewarded",
    VideoPlacement = "video_placement",
    AudioFeed = "audio_feed",
    Ip = "ip",
    Signal = "signal",
    Audience = "audience",
}

impl fmt::Display for Dimension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
