//! `BidRequest` of `openrtb.proto` and what stands in it beside the imps.

use super::imp::Imp;
use super::{digit, flag};
use serde::{Deserialize, Serialize};

#[derive(Clone, PartialEq, prost::Message, Deserialize, Serialize)]
#[serde(default)]
pub struct BidRequest {
    #[prost(string, optional, tag = "1")]
    pub id: Option<String>,
    #[prost(message, repeated, tag = "2")]
    pub imp: Vec<Imp>,
    #[prost(message, optional, tag = "3")]
    pub site: Option<Site>,
    #[prost(message, optional, tag = "4")]
    pub app: Option<App>,
    #[prost(message, optional, tag = "5")]
    pub device: Option<Device>,
    #[prost(message, optional, tag = "6")]
    pub user: Option<User>,
    #[prost(int32, optional, tag = "7")]
    pub at: Option<i32>,
    #[prost(int32, optional, tag = "8")]
    pub tmax: Option<i32>,
    #[prost(string, repeated, tag = "9")]
    pub wseat: Vec<String>,
    #[serde(deserialize_with = "flag", serialize_with = "digit")]
    #[prost(bool, optional, tag = "10")]
    pub allimps: Option<bool>,
    #[prost(string, repeated, tag = "11")]
    pub cur: Vec<String>,
    #[prost(string, repeated, tag = "12")]
    pub bcat: Vec<String>,
    #[prost(string, repeated, tag = "13")]
    pub badv: Vec<String>,
    #[prost(message, optional, tag = "14")]
    pub regs: Option<Regs>,
    #[serde(deserialize_with = "flag", serialize_with = "digit")]
    #[prost(bool, optional, tag = "15")]
    pub test: Option<bool>,
    #[prost(string, repeated, tag = "16")]
    pub bapp: Vec<String>,
    #[prost(string, repeated, tag = "17")]
    pub bseat: Vec<String>,
    #[prost(string, repeated, tag = "18")]
    pub wlang: Vec<String>,
    #[prost(message, optional, tag = "19")]
    pub source: Option<Source>,
    #[prost(string, repeated, tag = "20")]
    pub wlangb: Vec<String>,
    #[prost(int32, optional, tag = "21")]
    pub cattax: Option<i32>,
    #[prost(message, optional, tag = "22")]
    pub dooh: Option<Dooh>,
    #[prost(string, repeated, tag = "23")]
    pub acat: Vec<String>,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize, Serialize)]
#[serde(default)]
pub struct Source {
    #[serde(deserialize_with = "flag", serialize_with = "digit")]
    #[prost(bool, optional, tag = "1")]
    pub fd: Option<bool>,
    #[prost(string, optional, tag = "2")]
    pub tid: Option<String>,
    #[prost(string, optional, tag = "3")]
    pub pchain: Option<String>,
    #[prost(message, optional, tag = "4")]
    pub schain: Option<SupplyChain>,
    #[prost(message, optional, tag = "99")]
    pub ext: Option<SourceExt>,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize, Serialize)]
#[serde(default)]
pub struct SourceExt {
    #[prost(message, optional, tag = "1")]
    pub schain: Option<SupplyChain>,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize, Serialize)]
#[serde(default)]
pub struct SupplyChain {
    #[serde(deserialize_with = "flag", serialize_with = "digit")]
    #[prost(bool, optional, tag = "1")]
    pub complete: Option<bool>,
    #[prost(message, repeated, tag = "2")]
    pub nodes: Vec<SupplyChainNode>,
    #[prost(string, optional, tag = "3")]
    pub ver: Option<String>,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize, Serialize)]
#[serde(default)]
pub struct SupplyChainNode {
    #[prost(string, optional, tag = "1")]
    pub asi: Option<String>,
    #[prost(string, optional, tag = "2")]
    pub sid: Option<String>,
    #[prost(string, optional, tag = "3")]
    pub rid: Option<String>,
    #[prost(string, optional, tag = "4")]
    pub name: Option<String>,
    #[prost(string, optional, tag = "5")]
    pub domain: Option<String>,
    #[serde(deserialize_with = "flag", serialize_with = "digit")]
    #[prost(bool, optional, tag = "6")]
    pub hp: Option<bool>,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize, Serialize)]
#[serde(default)]
pub struct Site {
    #[prost(string, optional, tag = "1")]
    pub id: Option<String>,
    #[prost(string, optional, tag = "2")]
    pub name: Option<String>,
    #[prost(string, optional, tag = "3")]
    pub domain: Option<String>,
    #[prost(string, repeated, tag = "4")]
    pub cat: Vec<String>,
    #[prost(string, repeated, tag = "5")]
    pub sectioncat: Vec<String>,
    #[prost(string, repeated, tag = "6")]
    pub pagecat: Vec<String>,
    #[prost(string, optional, tag = "7")]
    pub page: Option<String>,
    #[prost(message, optional, tag = "11")]
    pub publisher: Option<Publisher>,
    #[prost(message, optional, tag = "12")]
    pub content: Option<Content>,
    #[prost(string, optional, tag = "13")]
    pub keywords: Option<String>,
    #[prost(int32, optional, tag = "16")]
    pub cattax: Option<i32>,
    #[prost(string, optional, tag = "17")]
    pub inventorypartnerdomain: Option<String>,
    #[prost(string, repeated, tag = "18")]
    pub kwarray: Vec<String>,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize, Serialize)]
#[serde(default)]
pub struct App {
    #[prost(string, optional, tag = "1")]
    pub id: Option<String>,
    #[prost(string, optional, tag = "2")]
    pub name: Option<String>,
    #[prost(string, optional, tag = "3")]
    pub domain: Option<String>,
    #[prost(string, repeated, tag = "4")]
    pub cat: Vec<String>,
    #[prost(string, repeated, tag = "5")]
    pub sectioncat: Vec<String>,
    #[prost(string, repeated, tag = "6")]
    pub pagecat: Vec<String>,
    #[prost(string, optional, tag = "8")]
    pub bundle: Option<String>,
    #[prost(message, optional, tag = "11")]
    pub publisher: Option<Publisher>,
    #[prost(message, optional, tag = "12")]
    pub content: Option<Content>,
    #[prost(string, optional, tag = "13")]
    pub keywords: Option<String>,
    #[prost(int32, optional, tag = "17")]
    pub cattax: Option<i32>,
    #[prost(string, optional, tag = "18")]
    pub inventorypartnerdomain: Option<String>,
    #[prost(string, repeated, tag = "19")]
    pub kwarray: Vec<String>,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize, Serialize)]
#[serde(default)]
pub struct Dooh {
    #[prost(string, optional, tag = "1")]
    pub id: Option<String>,
    #[prost(string, optional, tag = "2")]
    pub name: Option<String>,
    #[prost(string, repeated, tag = "3")]
    pub venuetype: Vec<String>,
    #[prost(int32, optional, tag = "4")]
    pub venuetypetax: Option<i32>,
    #[prost(message, optional, tag = "5")]
    pub publisher: Option<Publisher>,
    #[prost(string, optional, tag = "6")]
    pub domain: Option<String>,
    #[prost(string, optional, tag = "7")]
    pub keywords: Option<String>,
    #[prost(message, optional, tag = "8")]
    pub content: Option<Content>,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize, Serialize)]
#[serde(default)]
pub struct Publisher {
    #[prost(string, optional, tag = "1")]
    pub id: Option<String>,
    #[prost(string, optional, tag = "2")]
    pub name: Option<String>,
    #[prost(string, optional, tag = "4")]
    pub domain: Option<String>,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize, Serialize)]
#[serde(default)]
pub struct Content {
    #[prost(string, repeated, tag = "7")]
    pub cat: Vec<String>,
    #[prost(string, optional, tag = "9")]
    pub keywords: Option<String>,
    #[prost(string, optional, tag = "19")]
    pub language: Option<String>,
    #[prost(int32, optional, tag = "27")]
    pub cattax: Option<i32>,
    #[prost(string, optional, tag = "29")]
    pub langb: Option<String>,
    #[prost(string, repeated, tag = "32")]
    pub kwarray: Vec<String>,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize, Serialize)]
#[serde(default)]
pub struct Device {
    #[serde(deserialize_with = "flag", serialize_with = "digit")]
    #[prost(bool, optional, tag = "1")]
    pub dnt: Option<bool>,
    #[prost(string, optional, tag = "2")]
    pub ua: Option<String>,
    #[prost(string, optional, tag = "3")]
    pub ip: Option<String>,
    #[prost(message, optional, tag = "4")]
    pub geo: Option<Geo>,
    #[prost(string, optional, tag = "9")]
    pub ipv6: Option<String>,
    #[prost(string, optional, tag = "10")]
    pub carrier: Option<String>,
    #[prost(string, optional, tag = "11")]
    pub language: Option<String>,
    #[prost(string, optional, tag = "12")]
    pub make: Option<String>,
    #[prost(string, optional, tag = "13")]
    pub model: Option<String>,
    #[prost(string, optional, tag = "14")]
    pub os: Option<String>,
    #[prost(string, optional, tag = "15")]
    pub osv: Option<String>,
    #[prost(int32, optional, tag = "17")]
    pub connectiontype: Option<i32>,
    #[prost(int32, optional, tag = "18")]
    pub devicetype: Option<i32>,
    #[prost(string, optional, tag = "20")]
    pub ifa: Option<String>,
    #[serde(deserialize_with = "flag", serialize_with = "digit")]
    #[prost(bool, optional, tag = "23")]
    pub lmt: Option<bool>,
    #[prost(message, optional, tag = "31")]
    pub sua: Option<UserAgent>,
    #[prost(string, optional, tag = "32")]
    pub langb: Option<String>,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize, Serialize)]
#[serde(default)]
pub struct Geo {
    #[prost(double, optional, tag = "1")]
    pub lat: Option<f64>,
    #[prost(double, optional, tag = "2")]
    pub lon: Option<f64>,
    #[prost(string, optional, tag = "3")]
    pub country: Option<String>,
    #[prost(string, optional, tag = "4")]
    pub region: Option<String>,
    #[prost(string, optional, tag = "7")]
    pub city: Option<String>,
    #[prost(string, optional, tag = "8")]
    pub zip: Option<String>,
    #[prost(int32, optional, tag = "10")]
    pub utcoffset: Option<i32>,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize, Serialize)]
#[serde(default)]
pub struct UserAgent {
    #[prost(message, repeated, tag = "1")]
    pub browsers: Vec<BrandVersion>,
    #[prost(message, optional, tag = "2")]
    pub platform: Option<BrandVersion>,
    #[serde(deserialize_with = "flag", serialize_with = "digit")]
    #[prost(bool, optional, tag = "3")]
    pub mobile: Option<bool>,
    #[prost(string, optional, tag = "6")]
    pub model: Option<String>,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize, Serialize)]
#[serde(default)]
pub struct BrandVersion {
    #[prost(string, optional, tag = "1")]
    pub brand: Option<String>,
    #[prost(string, repeated, tag = "2")]
    pub version: Vec<String>,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize, Serialize)]
#[serde(default)]
pub struct User {
    #[prost(string, optional, tag = "1")]
    pub id: Option<String>,
    #[prost(string, optional, tag = "2")]
    pub buyeruid: Option<String>,
    #[prost(string, optional, tag = "5")]
    pub keywords: Option<String>,
    #[prost(message, optional, tag = "7")]
    pub geo: Option<Geo>,
    #[prost(message, repeated, tag = "8")]
    pub data: Vec<Data>,
    #[prost(string, repeated, tag = "9")]
    pub kwarray: Vec<String>,
    #[prost(string, optional, tag = "10")]
    pub consent: Option<String>,
    #[prost(message, repeated, tag = "11")]
    pub eids: Vec<Eid>,
    #[prost(message, optional, tag = "99")]
    pub ext: Option<UserExt>,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize, Serialize)]
#[serde(default)]
pub struct UserExt {
    #[prost(string, optional, tag = "1")]
    pub consent: Option<String>,
    #[prost(message, repeated, tag = "2")]
    pub eids: Vec<Eid>,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize, Serialize)]
#[serde(default)]
pub struct Eid {
    #[prost(string, optional, tag = "1")]
    pub source: Option<String>,
    #[prost(message, repeated, tag = "2")]
    pub uids: Vec<Uid>,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize, Serialize)]
#[serde(default)]
pub struct Uid {
    #[prost(string, optional, tag = "1")]
    pub id: Option<String>,
    #[prost(int32, optional, tag = "2")]
    pub atype: Option<i32>,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize, Serialize)]
#[serde(default)]
pub struct Data {
    #[prost(string, optional, tag = "1")]
    pub id: Option<String>,
    #[prost(string, optional, tag = "2")]
    pub name: Option<String>,
    #[prost(message, repeated, tag = "3")]
    pub segment: Vec<Segment>,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize, Serialize)]
#[serde(default)]
pub struct Segment {
    #[prost(string, optional, tag = "1")]
    pub id: Option<String>,
    #[prost(string, optional, tag = "2")]
    pub name: Option<String>,
    #[prost(string, optional, tag = "3")]
    pub value: Option<String>,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize, Serialize)]
#[serde(default)]
pub struct Regs {
    #[serde(deserialize_with = "flag", serialize_with = "digit")]
    #[prost(bool, optional, tag = "1")]
    pub coppa: Option<bool>,
    #[prost(string, optional, tag = "2")]
    pub gpp: Option<String>,
    #[prost(int32, repeated, tag = "3")]
    pub gpp_sid: Vec<i32>,
    #[serde(deserialize_with = "flag", serialize_with = "digit")]
    #[prost(bool, optional, tag = "4")]
    pub gdpr: Option<bool>,
    #[prost(string, optional, tag = "5")]
    pub us_privacy: Option<String>,
    #[prost(message, optional, tag = "99")]
    pub ext: Option<RegsExt>,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize, Serialize)]
#[serde(default)]
pub struct RegsExt {
    #[serde(deserialize_with = "flag", serialize_with = "digit")]
    #[prost(bool, optional, tag = "1")]
    pub gdpr: Option<bool>,
    #[prost(string, optional, tag = "2")]
    pub us_privacy: Option<String>,
    #[prost(string, optional, tag = "3")]
    pub gpc: Option<String>,
    #[prost(message, optional, tag = "4")]
    pub dsa: Option<DsaRequest>,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize, Serialize)]
#[serde(default)]
pub struct DsaRequest {
    #[prost(int32, optional, tag = "1")]
    pub dsarequired: Option<i32>,
    #[prost(int32, optional, tag = "2")]
    pub pubrender: Option<i32>,
    #[prost(int32, optional, tag = "3")]
    pub datatopub: Option<i32>,
}
