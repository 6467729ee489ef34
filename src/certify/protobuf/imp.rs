//! `Imp` of `openrtb.proto` and what stands in it.

#![allow(
    clippy::len_without_is_empty,
    reason = "the field `len` gets a reader of its name"
)]

use super::{digit, document, flag};
use serde::{Deserialize, Serialize};

#[derive(Clone, PartialEq, prost::Message, Deserialize, Serialize)]
#[serde(default)]
pub struct Imp {
    #[prost(string, optional, tag = "1")]
    pub id: Option<String>,
    #[prost(message, optional, tag = "2")]
    pub banner: Option<Banner>,
    #[prost(message, optional, tag = "3")]
    pub video: Option<Video>,
    #[serde(deserialize_with = "flag", serialize_with = "digit")]
    #[prost(bool, optional, tag = "6")]
    pub instl: Option<bool>,
    #[prost(string, optional, tag = "7")]
    pub tagid: Option<String>,
    #[prost(double, optional, tag = "8")]
    pub bidfloor: Option<f64>,
    #[prost(string, optional, tag = "9")]
    pub bidfloorcur: Option<String>,
    #[prost(message, optional, tag = "11")]
    pub pmp: Option<Pmp>,
    #[serde(deserialize_with = "flag", serialize_with = "digit")]
    #[prost(bool, optional, tag = "12")]
    pub secure: Option<bool>,
    #[prost(message, optional, tag = "13")]
    pub native: Option<Native>,
    #[prost(int32, optional, tag = "14")]
    pub exp: Option<i32>,
    #[prost(message, optional, tag = "15")]
    pub audio: Option<Audio>,
    #[serde(deserialize_with = "flag", serialize_with = "digit")]
    #[prost(bool, optional, tag = "18")]
    pub rwdd: Option<bool>,
    #[prost(int32, optional, tag = "19")]
    pub ssai: Option<i32>,
    #[prost(message, optional, tag = "20")]
    pub qty: Option<Qty>,
    #[prost(double, optional, tag = "21")]
    pub dt: Option<f64>,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize, Serialize)]
#[serde(default)]
pub struct Qty {
    #[prost(double, optional, tag = "1")]
    pub multiplier: Option<f64>,
    #[prost(int32, optional, tag = "2")]
    pub sourcetype: Option<i32>,
    #[prost(string, optional, tag = "3")]
    pub vendor: Option<String>,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize, Serialize)]
#[serde(default)]
pub struct Banner {
    #[prost(int32, optional, tag = "1")]
    pub w: Option<i32>,
    #[prost(int32, optional, tag = "2")]
    pub h: Option<i32>,
    #[prost(string, optional, tag = "3")]
    pub id: Option<String>,
    #[prost(int32, optional, tag = "4")]
    pub pos: Option<i32>,
    #[prost(int32, repeated, tag = "5")]
    pub btype: Vec<i32>,
    #[prost(int32, repeated, tag = "6")]
    pub battr: Vec<i32>,
    #[prost(string, repeated, tag = "7")]
    pub mimes: Vec<String>,
    #[prost(int32, repeated, tag = "9")]
    pub expdir: Vec<i32>,
    #[prost(int32, repeated, tag = "10")]
    pub api: Vec<i32>,
    #[prost(message, repeated, tag = "15")]
    pub format: Vec<Format>,
    #[serde(deserialize_with = "flag", serialize_with = "digit")]
    #[prost(bool, optional, tag = "16")]
    pub vcm: Option<bool>,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize, Serialize)]
#[serde(default)]
pub struct Format {
    #[prost(int32, optional, tag = "1")]
    pub w: Option<i32>,
    #[prost(int32, optional, tag = "2")]
    pub h: Option<i32>,
    #[prost(int32, optional, tag = "3")]
    pub wratio: Option<i32>,
    #[prost(int32, optional, tag = "4")]
    pub hratio: Option<i32>,
    #[prost(int32, optional, tag = "5")]
    pub wmin: Option<i32>,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize, Serialize)]
#[serde(default)]
pub struct Video {
    #[prost(string, repeated, tag = "1")]
    pub mimes: Vec<String>,
    #[prost(int32, optional, tag = "2")]
    pub linearity: Option<i32>,
    #[prost(int32, optional, tag = "3")]
    pub minduration: Option<i32>,
    #[prost(int32, optional, tag = "4")]
    pub maxduration: Option<i32>,
    #[prost(int32, optional, tag = "5")]
    pub protocol: Option<i32>,
    #[prost(int32, optional, tag = "6")]
    pub w: Option<i32>,
    #[prost(int32, optional, tag = "7")]
    pub h: Option<i32>,
    #[prost(int32, optional, tag = "8")]
    pub startdelay: Option<i32>,
    #[prost(int32, repeated, tag = "10")]
    pub battr: Vec<i32>,
    #[prost(int32, optional, tag = "11")]
    pub maxextended: Option<i32>,
    #[prost(int32, optional, tag = "12")]
    pub minbitrate: Option<i32>,
    #[prost(int32, optional, tag = "13")]
    pub maxbitrate: Option<i32>,
    #[serde(deserialize_with = "flag", serialize_with = "digit")]
    #[prost(bool, optional, tag = "14")]
    pub boxingallowed: Option<bool>,
    #[prost(int32, repeated, tag = "15")]
    pub playbackmethod: Vec<i32>,
    #[prost(int32, repeated, tag = "16")]
    pub delivery: Vec<i32>,
    #[prost(int32, optional, tag = "17")]
    pub pos: Option<i32>,
    #[prost(message, repeated, tag = "18")]
    pub companionad: Vec<Banner>,
    #[prost(int32, repeated, tag = "19")]
    pub api: Vec<i32>,
    #[prost(int32, repeated, tag = "20")]
    pub companiontype: Vec<i32>,
    #[prost(int32, repeated, tag = "21")]
    pub protocols: Vec<i32>,
    #[serde(deserialize_with = "flag", serialize_with = "digit")]
    #[prost(bool, optional, tag = "23")]
    pub skip: Option<bool>,
    #[prost(int32, optional, tag = "24")]
    pub skipmin: Option<i32>,
    #[prost(int32, optional, tag = "25")]
    pub skipafter: Option<i32>,
    #[prost(int32, optional, tag = "26")]
    pub placement: Option<i32>,
    #[prost(int32, optional, tag = "28")]
    pub maxseq: Option<i32>,
    #[prost(int32, optional, tag = "29")]
    pub poddur: Option<i32>,
    #[prost(string, optional, tag = "30")]
    pub podid: Option<String>,
    #[prost(int32, optional, tag = "31")]
    pub podseq: Option<i32>,
    #[prost(int32, repeated, tag = "32")]
    pub rqddurs: Vec<i32>,
    #[prost(int32, optional, tag = "33")]
    pub slotinpod: Option<i32>,
    #[prost(double, optional, tag = "34")]
    pub mincpmpersec: Option<f64>,
    #[prost(int32, optional, tag = "35")]
    pub plcmt: Option<i32>,
    #[prost(message, repeated, tag = "36")]
    pub durfloors: Vec<DurFloors>,
    #[prost(int32, repeated, tag = "37")]
    pub poddedupe: Vec<i32>,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize, Serialize)]
#[serde(default)]
pub struct Audio {
    #[prost(string, repeated, tag = "1")]
    pub mimes: Vec<String>,
    #[prost(int32, optional, tag = "2")]
    pub minduration: Option<i32>,
    #[prost(int32, optional, tag = "3")]
    pub maxduration: Option<i32>,
    #[prost(int32, repeated, tag = "4")]
    pub protocols: Vec<i32>,
    #[prost(int32, optional, tag = "5")]
    pub startdelay: Option<i32>,
    #[prost(int32, repeated, tag = "7")]
    pub battr: Vec<i32>,
    #[prost(int32, optional, tag = "8")]
    pub maxextended: Option<i32>,
    #[prost(int32, optional, tag = "9")]
    pub minbitrate: Option<i32>,
    #[prost(int32, optional, tag = "10")]
    pub maxbitrate: Option<i32>,
    #[prost(int32, repeated, tag = "11")]
    pub delivery: Vec<i32>,
    #[prost(message, repeated, tag = "12")]
    pub companionad: Vec<Banner>,
    #[prost(int32, repeated, tag = "13")]
    pub api: Vec<i32>,
    #[prost(int32, repeated, tag = "20")]
    pub companiontype: Vec<i32>,
    #[prost(int32, optional, tag = "21")]
    pub maxseq: Option<i32>,
    #[prost(int32, optional, tag = "22")]
    pub feed: Option<i32>,
    #[serde(deserialize_with = "flag", serialize_with = "digit")]
    #[prost(bool, optional, tag = "23")]
    pub stitched: Option<bool>,
    #[prost(int32, optional, tag = "24")]
    pub nvol: Option<i32>,
    #[prost(int32, optional, tag = "25")]
    pub poddur: Option<i32>,
    #[prost(int32, repeated, tag = "26")]
    pub rqddurs: Vec<i32>,
    #[prost(string, optional, tag = "27")]
    pub podid: Option<String>,
    #[prost(int32, optional, tag = "28")]
    pub podseq: Option<i32>,
    #[prost(int32, optional, tag = "29")]
    pub slotinpod: Option<i32>,
    #[prost(double, optional, tag = "30")]
    pub mincpmpersec: Option<f64>,
    #[prost(message, repeated, tag = "31")]
    pub durfloors: Vec<DurFloors>,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize, Serialize)]
#[serde(default)]
pub struct DurFloors {
    #[prost(int32, optional, tag = "1")]
    pub mindur: Option<i32>,
    #[prost(int32, optional, tag = "2")]
    pub maxdur: Option<i32>,
    #[prost(double, optional, tag = "3")]
    pub bidfloor: Option<f64>,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize, Serialize)]
#[serde(default)]
pub struct Native {
    #[serde(deserialize_with = "document")]
    #[prost(string, optional, tag = "1")]
    pub request: Option<String>,
    #[prost(string, optional, tag = "2")]
    pub ver: Option<String>,
    #[prost(int32, repeated, tag = "3")]
    pub api: Vec<i32>,
    #[prost(int32, repeated, tag = "4")]
    pub battr: Vec<i32>,
    #[prost(message, optional, tag = "50")]
    pub request_native: Option<NativeRequest>,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize, Serialize)]
#[serde(default)]
pub struct NativeRequest {
    #[prost(string, optional, tag = "1")]
    pub ver: Option<String>,
    #[prost(message, repeated, tag = "6")]
    pub assets: Vec<NativeAsset>,
    #[prost(message, repeated, tag = "13")]
    pub eventtrackers: Vec<EventTracker>,
    #[serde(deserialize_with = "flag", serialize_with = "digit")]
    #[prost(bool, optional, tag = "14")]
    pub privacy: Option<bool>,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize, Serialize)]
#[serde(default)]
pub struct NativeAsset {
    #[prost(int32, optional, tag = "1")]
    pub id: Option<i32>,
    #[serde(deserialize_with = "flag", serialize_with = "digit")]
    #[prost(bool, optional, tag = "2")]
    pub required: Option<bool>,
    #[prost(message, optional, tag = "3")]
    pub title: Option<NativeTitle>,
    #[prost(message, optional, tag = "4")]
    pub img: Option<NativeImage>,
    #[prost(message, optional, tag = "5")]
    pub video: Option<Video>,
    #[prost(message, optional, tag = "6")]
    pub data: Option<NativeData>,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize, Serialize)]
#[serde(default)]
pub struct NativeTitle {
    #[prost(int32, optional, tag = "1")]
    pub len: Option<i32>,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize, Serialize)]
#[serde(default)]
pub struct NativeImage {
    #[prost(int32, optional, tag = "1")]
    pub r#type: Option<i32>,
    #[prost(int32, optional, tag = "2")]
    pub w: Option<i32>,
    #[prost(int32, optional, tag = "3")]
    pub h: Option<i32>,
    #[prost(int32, optional, tag = "4")]
    pub wmin: Option<i32>,
    #[prost(int32, optional, tag = "5")]
    pub hmin: Option<i32>,
    #[prost(string, repeated, tag = "6")]
    pub mimes: Vec<String>,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize, Serialize)]
#[serde(default)]
pub struct NativeData {
    #[prost(int32, optional, tag = "1")]
    pub r#type: Option<i32>,
    #[prost(int32, optional, tag = "2")]
    pub len: Option<i32>,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize, Serialize)]
#[serde(default)]
pub struct EventTracker {
    #[prost(int32, optional, tag = "1")]
    pub event: Option<i32>,
    #[prost(int32, repeated, tag = "2")]
    pub methods: Vec<i32>,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize, Serialize)]
#[serde(default)]
pub struct Pmp {
    #[serde(deserialize_with = "flag", serialize_with = "digit")]
    #[prost(bool, optional, tag = "1")]
    pub private_auction: Option<bool>,
    #[prost(message, repeated, tag = "2")]
    pub deals: Vec<Deal>,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize, Serialize)]
#[serde(default)]
pub struct Deal {
    #[prost(string, optional, tag = "1")]
    pub id: Option<String>,
    #[prost(double, optional, tag = "2")]
    pub bidfloor: Option<f64>,
    #[prost(string, optional, tag = "3")]
    pub bidfloorcur: Option<String>,
    #[prost(string, repeated, tag = "4")]
    pub wseat: Vec<String>,
    #[prost(string, repeated, tag = "5")]
    pub wadomain: Vec<String>,
    #[prost(int32, optional, tag = "6")]
    pub at: Option<i32>,
    #[prost(int32, optional, tag = "7")]
    pub guar: Option<i32>,
    #[prost(double, optional, tag = "8")]
    pub mincpmpersec: Option<f64>,
    #[prost(message, repeated, tag = "9")]
    pub durfloors: Vec<DurFloors>,
}
