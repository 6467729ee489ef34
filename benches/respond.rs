//! What writing a response costs: a banner of about 2 KB and a VAST video of about 5 KB, each beside `serde_json` writing
//! an equal structure whose markup is rendered first, as a bidder without a writer of its own would do.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use outbid::creative::{BannerSpec, Fit, LinearSpec, MediaFile, Template, Values};
use outbid::openrtb::WireFormat;
use outbid::openrtb::notice::Notice;
use outbid::openrtb::request::{Banner, Imp, Request, Video};
use outbid::openrtb::response::{BidFields, NoticeUrls, ResponseHead, ResponseWriter};
use outbid::units::{BidId, Cpm, Currency};
use serde::Serialize;
use serde_json::Value;
use std::hint::black_box;

const BASE: &str = "https://bid.example.com";
/// As long as a token of 160 bytes is in base64.
const TOKEN_LEN: usize = 214;

fn banner() -> (Template, Fit) {
    let html = r#"<a href="${CLICK_URL}" target="_blank" rel="noopener"><img src="https://cdn.example.com/300x250.png"
        width="300" height="250" alt="Shoes for every season"></a>"#;
    let template = Template::banner(BannerSpec {
        html: html.to_owned(),
        w: 300,
        h: 250,
        btype: 2,
        apis: vec![],
        expands: vec![],
        landing_url: "https://shop.example.com/shoes".to_owned(),
    });
    let imp = Imp {
        banner: Some(Banner::default()),
        ..Imp::default()
    };
    let fit = template
        .fits(&imp, &Request::default())
        .expect("any size is taken");
    (template, fit)
}

fn video() -> (Template, Fit) {
    let file = |url: &str, bitrate_kbps| MediaFile {
        url: url.to_owned(),
        mime: "video/mp4".to_owned(),
        bitrate_kbps,
        w: 1280,
        h: 720,
    };
    let template = Template::linear(LinearSpec {
        creative_id: "shoes-15s".to_owned(),
        title: "Shoes for every season".to_owned(),
        duration_s: 15,
        size: Some((1280, 720)),
        skip_after_s: Some(5),
        media: vec![
            file("https://cdn.example.com/v.mp4", 800),
            file("https://cdn.example.com/hd.mp4", 2_400),
        ],
        companions: vec![],
        apis: vec![],
        landing_url: "https://shop.example.com/shoes".to_owned(),
    });
    let imp = Imp {
        video: Some(Video::default()),
        ..Imp::default()
    };
    let fit = template
        .fits(&imp, &Request::default())
        .expect("any video is taken");
    (template, fit)
}

/// What of a bid does not come from the template.
struct Bid {
    token: String,
    domains: Vec<String>,
    categories: Vec<String>,
}

impl Bid {
    fn values(&self) -> Values<'_> {
        let bid_id = BidId::new(1, 2, 3);
        Values {
            base: BASE,
            queries: None,
            token: &self.token,
            bid_id,
            click_macro: None,
            native_assets: &[],
        }
    }

    fn write(&self, template: &Template, fit: &Fit, out: &mut Vec<u8>) {
        let head = ResponseHead {
            id: "80ce30c53c16e6ede735f123ef6e32361bfc7b22",
            bid_id: None,
            currency: Currency::USD,
        };
        let notices = NoticeUrls {
            base: BASE,
            queries: None,
            token: &self.token,
            win: true,
            bill: true,
            loss: true,
        };
        let fields = BidFields {
            id: BidId::new(1, 2, 3),
            imp_id: "1",
            price: Cpm(1_234_560),
            notices,
            adomain: &self.domains,
            campaign_id: Some("spring-sale"),
            creative_id: "shoes-300x250",
            image_url: None,
            categories: &self.categories,
            cattax: 1,
            protocol: fit.protocol(),
            size: fit.size(),
            duration_s: fit.duration_s(),
            exp_s: Some(300),
            markup: template.markup_type(),
            ..BidFields::default()
        };
        out.clear();
        let mut response = ResponseWriter::begin(WireFormat::Json, out, &head);
        response.seat(Some("outbid"), false);
        response.bid(&fields, |out| template.render_json(fit, &self.values(), out));
        response.finish();
    }

    /// The same response as a structure that `serde_json` writes; its markup is rendered and its URLs are put
    /// together first.
    fn write_serde(&self, template: &Template, fit: &Fit, markup: &mut Vec<u8>, out: &mut Vec<u8>) {
        markup.clear();
        template.render(fit, &self.values(), markup);
        let url = |notice: Notice| format!("{BASE}{}?t={}{}", notice.path(), self.token, notice.query());
        let bid = SerdeBid {
            id: BidId::new(1, 2, 3).to_string(),
            impid: "1",
            price: Cpm(1_234_560).as_units(),
            adm: std::str::from_utf8(markup).expect("markup is text"),
            mtype: template.markup_type() as u32,
            nurl: url(Notice::Win),
            burl: url(Notice::Bill),
            lurl: url(Notice::Loss),
            adomain: &self.domains,
            cid: "spring-sale",
            crid: "shoes-300x250",
            cat: &self.categories,
            cattax: 1,
            protocol: fit.protocol(),
            w: fit.size().map(|size| size.0),
            h: fit.size().map(|size| size.1),
            dur: fit.duration_s(),
            exp: 300,
        };
        let seatbid = [SerdeSeat {
            seat: "outbid",
            bid: [bid],
        }];
        let response = SerdeResponse {
            id: "80ce30c53c16e6ede735f123ef6e32361bfc7b22",
            cur: "USD",
            seatbid,
        };
        out.clear();
        serde_json::to_writer(out, &response).expect("a vector takes every write");
    }
}

#[derive(Serialize)]
struct SerdeResponse<'a> {
    id: &'a str,
    cur: &'a str,
    seatbid: [SerdeSeat<'a>; 1],
}

#[derive(Serialize)]
struct SerdeSeat<'a> {
    seat: &'a str,
    bid: [SerdeBid<'a>; 1],
}

#[derive(Serialize)]
struct SerdeBid<'a> {
    id: String,
    impid: &'a str,
    price: f64,
    adm: &'a str,
    mtype: u32,
    nurl: String,
    burl: String,
    lurl: String,
    adomain: &'a [String],
    cid: &'a str,
    crid: &'a str,
    cat: &'a [String],
    cattax: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    protocol: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    w: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    h: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dur: Option<u32>,
    exp: u32,
}

fn compare(c: &mut Criterion, name: &str, (template, fit): (Template, Fit)) {
    let bid = Bid {
        token: "tOk-_".chars().cycle().take(TOKEN_LEN).collect(),
        domains: vec!["shop.example.com".to_owned()],
        categories: vec!["IAB18".to_owned(), "IAB22".to_owned()],
    };
    let (mut out, mut markup) = (Vec::new(), Vec::new());
    bid.write_serde(&template, &fit, &mut markup, &mut out);
    let rival: Value = serde_json::from_slice(&out).expect("responses are valid JSON");
    bid.write(&template, &fit, &mut out);
    let ours: Value = serde_json::from_slice(&out).expect("responses are valid JSON");
    assert_eq!(ours, rival, "both write the same response");
    let mut group = c.benchmark_group(format!("respond/{name}"));
    group.throughput(Throughput::Bytes(out.len() as u64));
    group.bench_function("writer", |b| {
        b.iter(|| bid.write(black_box(&template), &fit, &mut out))
    });
    group.bench_function("serde_json", |b| {
        b.iter(|| bid.write_serde(black_box(&template), &fit, &mut markup, &mut out));
    });
    group.finish();
}

fn respond(c: &mut Criterion) {
    compare(c, "banner", banner());
    compare(c, "video", video());
}

criterion_group!(benches, respond);
criterion_main!(benches);
