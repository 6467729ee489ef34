//! `BidResponse` of `openrtb.proto` and what stands in it.

use super::{digit, flag};
use serde::{Deserialize, Serialize};

#[derive(Clone, PartialEq, prost::Message, Deserialize, Serialize)]
#[serde(default)]
pub struct BidResponse {
    #[prost(string, optional, tag = "1")]
    pub id: Option<String>,
    #[prost(message, repeated, tag = "2")]
    pub seatbid: Vec<SeatBid>,
    #[prost(string, optional, tag = "3")]
    pub bidid: Option<String>,
    #[prost(string, optional, tag = "4")]
    pub cur: Option<String>,
    #[prost(int32, optional, tag = "6")]
    pub nbr: Option<i32>,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize, Serialize)]
#[serde(default)]
pub struct SeatBid {
    #[prost(message, repeated, tag = "1")]
    pub bid: Vec<Bid>,
    #[prost(string, optional, tag = "2")]
    pub seat: Option<String>,
    #[serde(deserialize_with = "flag", serialize_with = "digit")]
    #[prost(bool, optional, tag = "3")]
    pub group: Option<bool>,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize, Serialize)]
#[serde(default)]
pub struct Bid {
    #[prost(string, optional, tag = "1")]
    pub id: Option<String>,
    #[prost(string, optional, tag = "2")]
    pub impid: Option<String>,
    #[prost(double, optional, tag = "3")]
    pub price: Option<f64>,
    #[prost(string, optional, tag = "4")]
    pub adid: Option<String>,
    #[prost(string, optional, tag = "5")]
    pub nurl: Option<String>,
    #[prost(string, optional, tag = "6")]
    pub adm: Option<String>,
    #[prost(string, repeated, tag = "7")]
    pub adomain: Vec<String>,
    #[prost(string, optional, tag = "8")]
    pub iurl: Option<String>,
    #[prost(string, optional, tag = "9")]
    pub cid: Option<String>,
    #[prost(string, optional, tag = "10")]
    pub crid: Option<String>,
    #[prost(int32, repeated, tag = "11")]
    pub attr: Vec<i32>,
    #[prost(string, optional, tag = "13")]
    pub dealid: Option<String>,
    #[prost(string, optional, tag = "14")]
    pub bundle: Option<String>,
    #[prost(string, repeated, tag = "15")]
    pub cat: Vec<String>,
    #[prost(int32, optional, tag = "16")]
    pub w: Option<i32>,
    #[prost(int32, optional, tag = "17")]
    pub h: Option<i32>,
    #[prost(int32, optional, tag = "18")]
    pub api: Option<i32>,
    #[prost(int32, optional, tag = "19")]
    pub protocol: Option<i32>,
    #[prost(int32, optional, tag = "20")]
    pub qagmediarating: Option<i32>,
    #[prost(int32, optional, tag = "21")]
    pub exp: Option<i32>,
    #[prost(string, optional, tag = "22")]
    pub burl: Option<String>,
    #[prost(string, optional, tag = "23")]
    pub lurl: Option<String>,
    #[prost(string, optional, tag = "24")]
    pub tactic: Option<String>,
    #[prost(string, optional, tag = "25")]
    pub language: Option<String>,
    #[prost(int32, optional, tag = "26")]
    pub wratio: Option<i32>,
    #[prost(int32, optional, tag = "27")]
    pub hratio: Option<i32>,
    #[prost(int32, optional, tag = "28")]
    pub slotinpod: Option<i32>,
    #[prost(string, optional, tag = "29")]
    pub langb: Option<String>,
    #[prost(int32, optional, tag = "30")]
    pub cattax: Option<i32>,
    #[prost(int32, repeated, tag = "31")]
    pub apis: Vec<i32>,
    #[prost(int32, optional, tag = "32")]
    pub dur: Option<i32>,
    #[prost(int32, optional, tag = "33")]
    pub mtype: Option<i32>,
    #[prost(message, optional, tag = "99")]
    pub ext: Option<BidExt>,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize, Serialize)]
#[serde(default)]
pub struct BidExt {
    #[prost(message, optional, tag = "2")]
    pub dsa: Option<DsaResponse>,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize, Serialize)]
#[serde(default)]
pub struct DsaResponse {
    #[prost(string, optional, tag = "1")]
    pub behalf: Option<String>,
    #[prost(string, optional, tag = "2")]
    pub paid: Option<String>,
    #[prost(message, repeated, tag = "3")]
    pub transparency: Vec<Transparency>,
    #[serde(deserialize_with = "flag", serialize_with = "digit")]
    #[prost(bool, optional, tag = "4")]
    pub adrender: Option<bool>,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize, Serialize)]
#[serde(default)]
pub struct Transparency {
    #[prost(string, optional, tag = "1")]
    pub domain: Option<String>,
    #[prost(int32, repeated, tag = "2")]
    pub dsaparams: Vec<i32>,
}
