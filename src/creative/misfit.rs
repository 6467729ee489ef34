//! Why a creative cannot be shown in an imp: one code per cause, for the funnel and the metrics.

/// The first reason found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Misfit {
    /// The imp does not offer the creative's format.
    Format,
    /// The imp wants https only.
    NotSecure,
    /// No banner size of the imp is the creative's.
    Size,
    /// The banner type (`btype`) is blocked.
    BannerType,
    /// The banner expands into a direction that the imp does not permit.
    Expansion,
    /// None of the creative's MIME types is supported.
    Mime,
    /// The markup needs an API framework that is not offered.
    Api,
    /// The video is too short, too long, or has none of the required durations.
    Duration,
    /// No VAST version that this bidder writes is accepted.
    Protocol,
    /// Only non-linear video is accepted.
    Linearity,
    /// No media file has a bitrate within the bounds.
    Bitrate,
    /// No media file is delivered in a supported way.
    Delivery,
    /// A required native asset cannot be filled.
    NativeAsset,
    /// The ad has to show who is behind it and why itself, and its format has no place for that (DSA transparency extension).
    DsaRendering,
}

impl Misfit {
    pub const ALL: [Misfit; 14] = [
        Misfit::Format,
        Misfit::NotSecure,
        Misfit::Size,
        Misfit::BannerType,
        Misfit::Expansion,
        Misfit::Mime,
        Misfit::Api,
        Misfit::Duration,
        Misfit::Protocol,
        Misfit::Linearity,
        Misfit::Bitrate,
        Misfit::Delivery,
        Misfit::NativeAsset,
        Misfit::DsaRendering,
    ];

    /// As it stands in metrics and explanations.
    pub const fn name(self) -> &'static str {
        match self {
            Misfit::Format => "format",
            Misfit::NotSecure => "not_secure",
            Misfit::Size => "size",
            Misfit::BannerType => "banner_type",
            Misfit::Expansion => "expansion",
            Misfit::Mime => "mime",
            Misfit::Api => "api",
            Misfit::Duration => "duration",
            Misfit::Protocol => "protocol",
            Misfit::Linearity => "linearity",
            Misfit::Bitrate => "bitrate",
            Misfit::Delivery => "delivery",
            Misfit::NativeAsset => "native_asset",
            Misfit::DsaRendering => "dsa_rendering",
        }
    }
}
