//! What the bidder knows: campaigns and their index, profiles, models, exchanges, rates and who may sell what. Nothing here is changed by a request.

pub mod campaigns;
pub mod exchange;
pub mod models;
pub mod profiles;
pub mod rates;
pub mod supply;
pub mod traffic;
