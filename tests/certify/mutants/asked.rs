//! Rules of the request that the bidder does not see, or sees wrong.

use super::{Mutant, mutant};
use crate::proxy::Twist::{Ask, Hide};
use crate::proxy::list_mut;
use serde_json::{Value, json};

pub fn mutants() -> Vec<Mutant> {
    [
        advertisers_and_categories(),
        seats_languages_money(),
        imps_and_banners(),
        video(),
        native(),
        deals(),
        privacy(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn advertisers_and_categories() -> Vec<Mutant> {
    vec![
        mutant(
            "blocked advertisers (badv)",
            Hide(&["badv"]),
            &[
                "blocks.badv.exact",
                "blocks.badv.case",
                "blocks.badv.parent",
                "blocks.badv.many",
                "blocks.badv.video",
                "blocks.badv.native",
                "blocks.badv.app",
                "deals.blocks",
            ],
        ),
        mutant(
            "badv in any case",
            Ask(|r| keep(&mut r["badv"], |domain| domain == domain.to_lowercase())),
            &["blocks.badv.case"],
        ),
        mutant(
            "badv of a domain for its subdomains",
            Ask(|r| keep(&mut r["badv"], |domain| domain.matches('.').count() > 1)),
            &["blocks.badv.parent"],
        ),
        mutant(
            "badv beyond the first thousand",
            Ask(|r| cut(&mut r["badv"], 1000)),
            &["blocks.badv.many"],
        ),
        mutant(
            "badv of a subdomain for that alone",
            Ask(|r| widen(&mut r["badv"])),
            &["blocks.badv.subdomain-only"],
        ),
        mutant(
            "blocked categories (bcat)",
            Hide(&["bcat"]),
            &[
                "blocks.bcat.exact",
                "blocks.bcat.parent",
                "blocks.bcat.default-taxonomy",
            ],
        ),
        mutant(
            "bcat of a category for those below it",
            Ask(|r| keep(&mut r["bcat"], |category| category.contains('-'))),
            &["blocks.bcat.parent"],
        ),
        mutant(
            "bcat of a category for that alone",
            Ask(|r| cut_texts(&mut r["bcat"], '-')),
            &["blocks.bcat.child"],
        ),
        mutant(
            "the taxonomy of categories (cattax)",
            Hide(&["cattax"]),
            &["blocks.bcat.taxonomy"],
        ),
        mutant(
            "taxonomy 1 by default",
            Ask(|r| default(r, "cattax", json!(2))),
            &["blocks.bcat.default-taxonomy"],
        ),
        mutant(
            "allowed categories (acat)",
            Hide(&["acat"]),
            &["blocks.acat.other"],
        ),
        mutant("blocked apps (bapp)", Hide(&["bapp"]), &["blocks.bapp"]),
    ]
}

fn seats_languages_money() -> Vec<Mutant> {
    vec![
        mutant(
            "allowed seats (wseat)",
            Hide(&["wseat"]),
            &["blocks.wseat.other", "blocks.wseat.case"],
        ),
        mutant("blocked seats (bseat)", Hide(&["bseat"]), &["blocks.bseat.ours"]),
        mutant(
            "allowed languages (wlang)",
            Hide(&["wlang"]),
            &["blocks.wlang.other"],
        ),
        mutant(
            "allowed languages of BCP 47 (wlangb)",
            Hide(&["wlangb"]),
            &["blocks.wlangb.other"],
        ),
        mutant(
            "allowed currencies (cur)",
            Hide(&["cur"]),
            &["request.cur.other", "request.cur.unknown"],
        ),
        mutant(
            "the time there is (tmax)",
            Hide(&["tmax"]),
            &["request.tmax.tiny"],
        ),
        mutant(
            "floors (bidfloor)",
            Hide(&["imp.*.bidfloor"]),
            &[
                "imp.floor.banner",
                "imp.floor.app",
                "imp.floor.video",
                "imp.floor.native",
                "imp.floor.double",
                "imp.floor.default-currency",
                "imp.floor.each",
                "imp.floor.unknown-currency",
            ],
        ),
        mutant(
            "currencies of floors (bidfloorcur)",
            Hide(&["imp.*.bidfloorcur"]),
            &["imp.floor.strong", "imp.floor.unknown-currency"],
        ),
        mutant(
            "floors in dollars by default",
            Ask(|r| each_imp(r, |imp| default(imp, "bidfloorcur", json!("JPY")))),
            &["imp.floor.default-currency"],
        ),
        mutant("test auctions (test)", Hide(&["test"]), &["money.test"]),
    ]
}

fn imps_and_banners() -> Vec<Mutant> {
    vec![
        mutant(
            "https alone (secure)",
            Hide(&["imp.*.secure"]),
            &[
                "imp.secure.banner",
                "imp.secure.video",
                "imp.secure.native",
                "imp.secure.app",
            ],
        ),
        mutant("how long a bid is good (exp)", Hide(&["imp.*.exp"]), &["imp.exp"]),
        mutant(
            "all imps but the first",
            Ask(|r| cut(&mut r["imp"], 1)),
            &["imp.many.second"],
        ),
        mutant(
            "sizes of banners",
            Ask(|r| each_imp(r, any_size)),
            &[
                "banner.size.mismatch",
                "banner.size.swapped",
                "banner.size.near",
                "banner.size.single-mismatch",
            ],
        ),
        mutant(
            "`format` before `w` and `h`",
            Ask(|r| each_imp(r, only_outer_size)),
            &["banner.size.format-first"],
        ),
        mutant(
            "blocked attributes of banners",
            Hide(&["imp.*.banner.battr"]),
            &["banner.battr", "banner.battr.list"],
        ),
        mutant(
            "blocked attributes beyond the first",
            Ask(|r| each_imp(r, |imp| cut(&mut imp["banner"]["battr"], 1))),
            &["banner.battr.list"],
        ),
        mutant(
            "blocked types of banners (btype)",
            Hide(&["imp.*.banner.btype"]),
            &["banner.btype.html", "banner.btype.script", "banner.btype.iframe"],
        ),
        mutant(
            "APIs of banners that are not listed",
            Ask(|r| each_imp(r, |imp| offer_apis(&mut imp["banner"]))),
            &["banner.api.unlisted"],
        ),
    ]
}

fn video() -> Vec<Mutant> {
    vec![
        mutant(
            "types of video files (mimes)",
            Ask(|r| in_video(r, "mimes", json!(["video/mp4", "video/webm"]))),
            &["video.mimes.unknown"],
        ),
        mutant(
            "bit rates",
            Hide(&["imp.*.video.minbitrate", "imp.*.video.maxbitrate"]),
            &["video.bitrate.max", "video.bitrate.min"],
        ),
        mutant(
            "the longest duration",
            Hide(&["imp.*.video.maxduration"]),
            &["video.duration.max"],
        ),
        mutant(
            "the shortest duration",
            Hide(&["imp.*.video.minduration"]),
            &["video.duration.min"],
        ),
        mutant(
            "required durations (rqddurs)",
            Hide(&["imp.*.video.rqddurs"]),
            &["video.rqddurs.other"],
        ),
        mutant(
            "protocols of video",
            Ask(|r| in_video(r, "protocols", json!([2, 3, 7, 11, 13]))),
            &["video.protocols.other", "video.protocols.wrapper"],
        ),
        mutant(
            "APIs of video that are not listed",
            Ask(|r| each_imp(r, |imp| offer_apis(&mut imp["video"]))),
            &["video.api.unlisted"],
        ),
        mutant(
            "linearity",
            Hide(&["imp.*.video.linearity"]),
            &["video.linearity.other"],
        ),
        mutant(
            "blocked attributes of video",
            Hide(&["imp.*.video.battr"]),
            &["video.battr", "video.battr.skippable"],
        ),
        mutant(
            "floors of durations (durfloors)",
            Hide(&["imp.*.video.durfloors"]),
            &["video.durfloors.above"],
        ),
        mutant(
            "floors per second (mincpmpersec)",
            Hide(&["imp.*.video.mincpmpersec"]),
            &["video.mincpmpersec"],
        ),
    ]
}

fn native() -> Vec<Mutant> {
    vec![
        mutant(
            "blocked attributes of native ads",
            Hide(&["imp.*.native.battr"]),
            &["native.battr"],
        ),
        mutant(
            "required assets",
            Ask(|r| each_asset(r, |asset| asset["required"] = json!(0))),
            &["native.asset.required"],
        ),
        mutant(
            "the length of titles",
            Ask(|r| {
                each_asset(r, |asset| {
                    if asset["title"].is_object() {
                        asset["title"]["len"] = json!(140);
                    }
                })
            }),
            &["native.title.length"],
        ),
        mutant(
            "the smallest size of images",
            Ask(|r| {
                each_asset(r, |asset| {
                    if asset["img"].is_object() {
                        asset["img"] = json!({"type": asset["img"]["type"]});
                    }
                })
            }),
            &["native.image.minimum"],
        ),
        mutant(
            "the ids of assets",
            Ask(|r| {
                let mut next = 0;
                each_asset(r, |asset| {
                    next += 1;
                    asset["id"] = json!(next);
                });
            }),
            &["native.asset.ids"],
        ),
    ]
}

fn deals() -> Vec<Mutant> {
    vec![
        mutant(
            "private auctions",
            Hide(&["imp.*.pmp.private_auction"]),
            &[
                "deals.private.unknown",
                "deals.private.empty",
                "deals.private.video",
                "deals.private.native",
            ],
        ),
        mutant("deals", Hide(&["imp.*.pmp.deals"]), &["deals.known.echo"]),
        mutant(
            "deals beyond the first",
            Ask(|r| each_imp(r, |imp| cut(&mut imp["pmp"]["deals"], 1))),
            &["deals.known.second"],
        ),
        mutant(
            "the whole id of a deal",
            Ask(|r| {
                each_deal(r, |deal| {
                    if let Some(id) = deal["id"].as_str().map(|id| id.replace("-certify", "")) {
                        deal["id"] = json!(id);
                    }
                })
            }),
            &["deals.known.case"],
        ),
        mutant(
            "floors of deals",
            Hide(&["imp.*.pmp.deals.*.bidfloor"]),
            &["deals.floor.above", "deals.floor.instead", "deals.floor.currency"],
        ),
        mutant(
            "the floor of the imp for a deal without one",
            Ask(|r| {
                each_imp(r, |imp| {
                    if imp["pmp"].is_object() {
                        imp["bidfloor"] = json!(0);
                    }
                })
            }),
            &["deals.floor.imp"],
        ),
        mutant(
            "floors of deals in dollars",
            Ask(|r| {
                each_imp(r, |imp| {
                    let currency = imp["bidfloorcur"].clone();
                    each_deal_of(imp, |deal| default(deal, "bidfloorcur", currency.clone()));
                })
            }),
            &["deals.floor.currency"],
        ),
        mutant(
            "fixed prices (deal.at = 3)",
            Hide(&["imp.*.pmp.deals.*.at"]),
            &["deals.at.fixed"],
        ),
        mutant(
            "seats of deals",
            Hide(&["imp.*.pmp.deals.*.wseat"]),
            &["deals.wseat.other"],
        ),
        mutant(
            "advertisers of deals",
            Hide(&["imp.*.pmp.deals.*.wadomain"]),
            &["deals.wadomain.other"],
        ),
    ]
}

fn privacy() -> Vec<Mutant> {
    vec![
        mutant("children (coppa)", Hide(&["regs.coppa"]), &["privacy.coppa"]),
        mutant("limited tracking (lmt)", Hide(&["device.lmt"]), &["privacy.lmt"]),
        mutant("do not track (dnt)", Hide(&["device.dnt"]), &["privacy.dnt"]),
        mutant(
            "the GDPR",
            Hide(&["regs.gdpr", "regs.ext.gdpr"]),
            &["privacy.gdpr.no-consent", "privacy.gdpr.no-consent-before"],
        ),
        mutant(
            "the GDPR in the position of 2.5",
            Hide(&["regs.ext.gdpr"]),
            &["privacy.gdpr.no-consent-before"],
        ),
        mutant(
            "US privacy strings",
            Hide(&["regs.us_privacy", "regs.ext.us_privacy"]),
            &["privacy.us.opt-out", "privacy.us.before"],
        ),
        mutant("GPP sections", Hide(&["regs.gpp_sid"]), &["privacy.gpp.missing"]),
        mutant(
            "the most restrictive of several signals",
            Ask(|r| {
                if r["regs"]["gdpr"] == 0 {
                    r["regs"] = json!({"gdpr": 0});
                }
            }),
            &["privacy.conflict"],
        ),
    ]
}

/// Keeps the texts of a list that are right.
fn keep(list: &mut Value, right: impl Fn(&str) -> bool) {
    if let Some(list) = list.as_array_mut() {
        list.retain(|item| item.as_str().is_none_or(&right));
    }
}

fn cut(list: &mut Value, length: usize) {
    if let Some(list) = list.as_array_mut() {
        list.truncate(length);
    }
}

/// Each text ends before the mark.
fn cut_texts(list: &mut Value, mark: char) {
    for item in list_mut(list) {
        if let Some((front, _)) = item.as_str().and_then(|text| text.split_once(mark)) {
            *item = json!(front.to_owned());
        }
    }
}

/// Each domain of three names or more becomes the one above it.
fn widen(domains: &mut Value) {
    for domain in list_mut(domains) {
        let above = domain.as_str().and_then(|text| text.split_once('.'));
        if let Some((_, above)) = above.filter(|(_, above)| above.contains('.')) {
            *domain = json!(above.to_owned());
        }
    }
}

fn default(object: &mut Value, key: &str, value: Value) {
    if object.is_object() && object[key].is_null() {
        object[key] = value;
    }
}

fn each_imp(request: &mut Value, change: impl FnMut(&mut Value)) {
    list_mut(&mut request["imp"]).iter_mut().for_each(change);
}

fn each_deal(request: &mut Value, mut change: impl FnMut(&mut Value)) {
    each_imp(request, |imp| each_deal_of(imp, &mut change));
}

fn each_deal_of(imp: &mut Value, change: impl FnMut(&mut Value)) {
    if imp["pmp"].is_object() {
        list_mut(&mut imp["pmp"]["deals"]).iter_mut().for_each(change);
    }
}

fn each_native(request: &mut Value, mut change: impl FnMut(&mut Value)) {
    each_imp(request, |imp| {
        let text = imp["native"]["request"].as_str().unwrap_or_default();
        if let Ok(mut native) = serde_json::from_str::<Value>(text) {
            change(&mut native);
            imp["native"]["request"] = json!(native.to_string());
        }
    });
}

fn each_asset(request: &mut Value, mut change: impl FnMut(&mut Value)) {
    each_native(request, |native| {
        list_mut(&mut native["assets"]).iter_mut().for_each(&mut change);
    });
}

fn in_video(request: &mut Value, key: &str, value: Value) {
    each_imp(request, |imp| {
        if imp["video"].is_object() {
            imp["video"][key] = value.clone();
        }
    });
}

fn offer_apis(format: &mut Value) {
    if format.is_object() {
        format["api"] = json!([1, 2, 3, 4, 5, 6, 7, 8, 9]);
    }
}

fn any_size(imp: &mut Value) {
    let banner = &mut imp["banner"];
    if banner.is_object() {
        let sizes = [
            (300, 250),
            (320, 50),
            (728, 90),
            (160, 600),
            (300, 600),
            (970, 250),
        ];
        banner["format"] = sizes.iter().map(|(w, h)| json!({"w": w, "h": h})).collect();
    }
}

fn only_outer_size(imp: &mut Value) {
    let banner = &mut imp["banner"];
    if banner["w"].is_number() {
        banner["format"] = json!(null);
    }
}
