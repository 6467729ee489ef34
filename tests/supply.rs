//! The supply path: each rule with its positive twin, files as they lie on disk, and what a check costs in allocations.

use outbid::openrtb::RequestBuffers;
use outbid::store::supply::{Action, Inventory, NothingRead, Supply, SupplyPolicy, Verdict};
use outbid::telemetry::Finding;
use proptest::prelude::*;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fs;

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call is passed on unchanged to the system's allocator; counting touches a thread-local cell that
// needs neither allocation nor destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const NEWS: &str = "\u{feff}# news.example\r\n\
    exchange.example, p1, DIRECT, f00 # ours\r\n\
    Exchange.Example, both, RESELLER\r\n\
    exchange.example, both, direct\r\n\
    exchange.example, r9, RESELLER\r\n\
    exchange.example, inter, DIRECT\r\n\
    exchange.example, gone, DIRECT\r\n\
    reseller.example, 9, DIRECT\r\n\
    reseller.example, 8, RESELLER\r\n\
    CONTACT=ads@news.example\r\n\
    SUBDOMAIN=blog.news.example\r\n\
    INVENTORYPARTNERDOMAIN=partner.example\r\n\
    INVENTORYPARTNERDOMAIN=missing.example\r\n";

const EXCHANGE: &str = r#"{"version":"1.0","sellers":[
    {"seller_id":"p1","seller_type":"PUBLISHER"}, {"seller_id":"both","seller_type":"BOTH"},
    {"seller_id":"r9","seller_type":"INTERMEDIARY"}, {"seller_id":"inter","seller_type":"INTERMEDIARY"},
    {"seller_id":"b1","seller_type":"PUBLISHER"}, {"seller_id":"t1","seller_type":"PUBLISHER"},
    {"seller_id":"a1","seller_type":"PUBLISHER"}, {"seller_id":77,"seller_type":"PUBLISHER"},
    {"seller_id":"hidden","is_confidential":1}]}"#;

fn world() -> Supply {
    let mut supply = Supply::default();
    for (kind, domain, file) in [
        (Inventory::Site, "news.example", NEWS),
        (
            Inventory::Site,
            "blog.news.example",
            "exchange.example, b1, DIRECT",
        ),
        (
            Inventory::Site,
            "spoof.news.example",
            "exchange.example, evil, DIRECT",
        ),
        (Inventory::Site, "partner.example", "exchange.example, t1, DIRECT"),
        (
            Inventory::Site,
            "nobody.example",
            "placeholder.example.com, placeholder, DIRECT, placeholder",
        ),
        (
            Inventory::App,
            "studio.example",
            "exchange.example, a1, DIRECT\ninventorypartnerdomain = partner.example",
        ),
    ] {
        supply.add_owner(kind, domain, file.as_bytes()).expect("a file");
    }
    supply
        .add_sellers("exchange.example", EXCHANGE.as_bytes())
        .expect("a file");
    let reseller =
        br#"{"sellers":[{"seller_id":"9","seller_type":"PUBLISHER"},{"seller_id":"8"},{"seller_id":"7"}]}"#;
    supply.add_sellers("reseller.example", reseller).expect("a file");
    supply
        .add_developers(b"# bundle, domain\ncom.game, https://www.studio.example/\n")
        .expect("a file");
    supply
}

fn policy() -> SupplyPolicy {
    let mut policy = SupplyPolicy::default();
    policy.hops_max = Some(3);
    policy.add_system("Exchange.example").expect("a domain");
    policy.block("bad.example").expect("a domain");
    policy.block("reseller.example/666").expect("a domain");
    policy
}

fn judge(supply: &Supply, policy: &SupplyPolicy, fields: &str) -> Verdict {
    let mut body = format!(r#"{{"id":"r","imp":[{{"id":"1","banner":{{}}}}],{fields}}}"#).into_bytes();
    let mut buffers = RequestBuffers::default();
    let request = buffers.parse(&mut body).expect("a request");
    supply.check(&request, policy)
}

fn names(verdict: Verdict) -> String {
    let names: Vec<&str> = verdict.findings().map(Finding::name).collect();
    names.join(" ")
}

fn check(fields: &str, expected: &str) {
    assert_eq!(names(judge(&world(), &policy(), fields)), expected, "{fields}");
}

/// `asi sid hp` a node, `-` for nothing.
fn chain(complete: &str, nodes: &[&str]) -> String {
    let field = |key: &str, value: &str| match value {
        "-" => String::new(),
        number if key == "hp" => format!(r#""{key}":{number},"#),
        text => format!(r#""{key}":"{text}","#),
    };
    let node = |node: &&str| {
        let parts: Vec<&str> = node.split(' ').collect();
        format!(
            r#"{{{}{}{}"rid":"r"}}"#,
            field("asi", parts[0]),
            field("sid", parts[1]),
            field("hp", parts[2])
        )
    };
    let nodes: Vec<String> = nodes.iter().map(node).collect();
    format!(
        r#""source":{{"schain":{{"ver":"1.0","complete":{complete},"nodes":[{}]}}}}"#,
        nodes.join(",")
    )
}

const SITE: &str = r#""site":{"domain":"news.example","publisher":{"id":"p1"}}"#;

#[test]
fn each_rule_on_the_chain_is_told_apart_from_its_twin() {
    let long = format!("exchange.example {} 1", "s".repeat(65));
    for (complete, nodes, expected) in [
        ("1", &["exchange.example p1 1"][..], ""),
        ("2", &["exchange.example p1 1"], ""),
        ("\"1\"", &["EXCHANGE.example. p1 1"], ""),
        ("0", &["exchange.example p1 1"], "chain_incomplete"),
        ("3", &["exchange.example p1 1"], "chain_incomplete"),
        ("1", &["exchange.example p1 -"], "hop_unmarked"),
        ("1", &["reseller.example 9 1", "exchange.example r9 1"], ""),
        (
            "1",
            &["exchange.example p1 1", "reseller.example 9 1"],
            "sender_unknown",
        ),
        (
            "1",
            &["- - 1", "exchange.example r9 1"],
            "node_malformed upstream_unlisted",
        ),
        (
            "1",
            &["reseller.example - 1", "exchange.example r9 1"],
            "node_malformed seller_unlisted upstream_unlisted",
        ),
        ("1", &[&long], "node_malformed seller_unlisted ads_txt_violation"),
        (
            "1",
            &["tool.example 1 0", "tool.example 2 0", "exchange.example p1 1"],
            "sellers_unavailable",
        ),
        (
            "1",
            &[
                "reseller.example 9 0",
                "reseller.example 9 0",
                "reseller.example 9 1",
                "exchange.example r9 1",
            ],
            "too_many_hops",
        ),
        (
            "1",
            &[
                "reseller.example 9 1",
                "reseller.example 8 1",
                "exchange.example r9 1",
            ],
            "",
        ),
        (
            "1",
            &["bad.example 1 0", "exchange.example p1 1"],
            "node_blocked sellers_unavailable",
        ),
        (
            "1",
            &["reseller.example 666 0", "exchange.example p1 1"],
            "node_blocked seller_unlisted",
        ),
        ("1", &["reseller.example 9 0", "exchange.example p1 1"], ""),
    ] {
        check(&format!("{SITE},{}", chain(complete, nodes)), expected);
    }
    let empty = r#""source":{"schain":{"complete":1,"nodes":[]}}"#;
    check(&format!("{SITE},{empty}"), "chain_incomplete");
    check(SITE, "chain_missing");
}

#[test]
fn each_rule_on_authorisation_is_told_apart_from_its_twin() {
    for (complete, nodes, expected) in [
        ("1", &["exchange.example p1 1"][..], ""),
        ("1", &["exchange.example both 1"], ""),
        (
            "1",
            &["exchange.example P1 1"],
            "seller_unlisted ads_txt_violation",
        ),
        ("1", &["exchange.example hidden 1"], "ads_txt_violation"),
        ("1", &["exchange.example gone 1"], "seller_unlisted"),
        ("1", &["exchange.example r9 1"], "owner_not_direct"),
        ("0", &["exchange.example r9 1"], "chain_incomplete"),
        ("1", &["exchange.example inter 1"], "owner_not_direct"),
        ("1", &["reseller.example 9 1", "exchange.example inter 1"], ""),
        (
            "1",
            &["reseller.example 8 1", "exchange.example r9 1"],
            "owner_not_direct",
        ),
        (
            "1",
            &["reseller.example 7 1", "exchange.example r9 1"],
            "upstream_unlisted",
        ),
        ("1", &["reseller.example 7 0", "exchange.example p1 1"], ""),
        (
            "1",
            &["exchange.example p1 1", "exchange.example tool 0"],
            "seller_unlisted",
        ),
    ] {
        check(&format!("{SITE},{}", chain(complete, nodes)), expected);
    }
}

#[test]
fn the_file_of_the_owner_is_found() {
    let site = |fields: &str| format!(r#""site":{{{fields}}}"#);
    let app = |fields: &str| format!(r#""app":{{{fields}}}"#);
    let violation = "ads_txt_violation";
    let unavailable = "ads_txt_unavailable";
    for (place, account, expected) in [
        (site(r#""domain":"news.example""#), "p1", ""),
        (site(r#""domain":"www.News.example""#), "p1", ""),
        (site(r#""page":"https://sport.news.example/a?b=c""#), "p1", ""),
        (
            site(r#""domain":"other.example","page":"https://news.example/""#),
            "p1",
            unavailable,
        ),
        (site(r#""id":"1""#), "p1", unavailable),
        (site(r#""domain":"nobody.example""#), "p1", violation),
        // A subdomain has a file of its own only where the domain above says so.
        (site(r#""domain":"blog.news.example""#), "b1", ""),
        (site(r#""domain":"blog.news.example""#), "p1", violation),
        (site(r#""domain":"news.example""#), "b1", violation),
        (
            site(r#""domain":"spoof.news.example""#),
            "evil",
            "seller_unlisted ads_txt_violation",
        ),
        // An inventory partner counts where the owner names it.
        (
            site(r#""domain":"news.example","inventorypartnerdomain":"partner.example""#),
            "t1",
            "",
        ),
        (
            site(r#""domain":"news.example","ext":{"inventorypartnerdomain":"partner.example"}"#),
            "t1",
            "",
        ),
        (
            site(r#""domain":"news.example","inventorypartnerdomain":"partner.example""#),
            "p1",
            "",
        ),
        (
            site(r#""domain":"news.example","inventorypartnerdomain":"partner.example""#),
            "a1",
            violation,
        ),
        (
            site(r#""domain":"news.example","inventorypartnerdomain":"missing.example""#),
            "t1",
            unavailable,
        ),
        (
            site(r#""domain":"news.example","inventorypartnerdomain":"nobody.example""#),
            "t1",
            violation,
        ),
        (site(r#""domain":"news.example""#), "t1", violation),
        (
            site(r#""domain":"blog.news.example","inventorypartnerdomain":"partner.example""#),
            "t1",
            violation,
        ),
        // Apps have their own files, of the developer whom the store names.
        (app(r#""bundle":"com.game""#), "a1", ""),
        (app(r#""bundle":"com.game","domain":"news.example""#), "a1", ""),
        (app(r#""bundle":"com.other","domain":"studio.example""#), "a1", ""),
        (app(r#""bundle":"com.other""#), "a1", unavailable),
        (app(r#""bundle":"com.game""#), "p1", violation),
        (
            app(r#""bundle":"com.game","inventorypartnerdomain":"partner.example""#),
            "t1",
            "",
        ),
        (app(r#""domain":"news.example""#), "p1", unavailable),
        (site(r#""domain":"studio.example""#), "a1", unavailable),
        (r#""dooh":{"id":"screen"}"#.to_owned(), "p1", ""),
    ] {
        let chain = chain("1", &[&format!("exchange.example {account} 1")]);
        check(&format!("{place},{chain}"), expected);
    }
}

#[test]
fn without_a_chain_the_publisher_is_the_seller() {
    for (fields, expected) in [
        (r#""domain":"news.example","publisher":{"id":"p1"}"#, ""),
        (
            r#""domain":"news.example","publisher":{"id":77}"#,
            "ads_txt_violation",
        ),
        (
            r#""domain":"news.example","publisher":{"id":"zz"}"#,
            "seller_unlisted ads_txt_violation",
        ),
        (
            r#""domain":"news.example""#,
            "sellers_unavailable ads_txt_unavailable",
        ),
        (r#""publisher":{"id":"p1"}"#, "ads_txt_unavailable"),
        (
            r#""domain":"news.example","inventorypartnerdomain":"partner.example","publisher":{"id":"t1"}"#,
            "",
        ),
        (
            r#""domain":"news.example","inventorypartnerdomain":"missing.example","publisher":{"id":"t1"}"#,
            "ads_txt_unavailable",
        ),
    ] {
        let policy = policy().with(Finding::ChainMissing, Action::Off);
        let verdict = judge(&world(), &policy, &format!(r#""site":{{{fields}}}"#));
        assert_eq!(names(verdict), expected, "{fields}");
    }
    let nameless = judge(&world(), &SupplyPolicy::default(), SITE);
    assert_eq!(
        names(nameless),
        "chain_missing sellers_unavailable ads_txt_unavailable"
    );
}

/// A request that is found out for exactly one thing, for every finding.
fn faults() -> Vec<(Finding, String)> {
    let of = |nodes: &[&str]| format!("{SITE},{}", chain("1", nodes));
    let far = chain("1", &["exchange.example p1 1"]);
    vec![
        (Finding::ChainMissing, SITE.to_owned()),
        (
            Finding::ChainIncomplete,
            format!("{SITE},{}", chain("0", &["exchange.example p1 1"])),
        ),
        (Finding::NodeMalformed, of(&["- 1 0", "exchange.example p1 1"])),
        (Finding::HopUnmarked, of(&["exchange.example p1 -"])),
        (
            Finding::SenderUnknown,
            of(&["exchange.example p1 1", "reseller.example 9 1"]),
        ),
        (
            Finding::TooManyHops,
            of(&[
                "reseller.example 9 1",
                "reseller.example 9 0",
                "reseller.example 9 0",
                "exchange.example r9 1",
            ]),
        ),
        (
            Finding::NodeBlocked,
            of(&["bad.example 1 0", "exchange.example p1 1"]),
        ),
        (
            Finding::SellersUnavailable,
            of(&["tool.example 1 0", "exchange.example p1 1"]),
        ),
        (Finding::SellerUnlisted, of(&["exchange.example gone 1"])),
        (
            Finding::AdsTxtUnavailable,
            format!(r#""site":{{"domain":"far.example"}},{far}"#),
        ),
        (Finding::AdsTxtViolation, of(&["exchange.example hidden 1"])),
        (
            Finding::UpstreamUnlisted,
            of(&["reseller.example 7 1", "exchange.example r9 1"]),
        ),
        (Finding::OwnerNotDirect, of(&["exchange.example r9 1"])),
    ]
}

#[test]
fn each_finding_is_off_counted_or_refused_by_itself() {
    let world = world();
    assert_eq!(faults().len(), Finding::SUPPLY.len());
    for (finding, fields) in faults() {
        let off = Finding::ALL
            .into_iter()
            .fold(policy(), |policy, finding| policy.with(finding, Action::Off));
        let verdict = |action| judge(&world, &off.clone().with(finding, action), &fields);
        assert_eq!(verdict(Action::Off), Verdict::default(), "{finding:?}");
        let counted = verdict(Action::Count);
        assert_eq!(
            (names(counted), counted.refused),
            (finding.name().to_owned(), None),
            "{finding:?}"
        );
        let refused = verdict(Action::Refuse);
        assert_eq!(
            (names(refused), refused.refused),
            (finding.name().to_owned(), Some(finding))
        );
        let twin = format!("{SITE},{}", chain("1", &["exchange.example p1 1"]));
        let strict = off.clone().with(finding, Action::Refuse);
        assert_eq!(judge(&world, &strict, &twin), Verdict::default(), "{finding:?}");
    }
}

#[test]
fn the_first_refused_finding_is_the_reason() {
    let fields = format!("{SITE},{}", chain("0", &["bad.example 1 1"]));
    let verdict = judge(&world(), &policy(), &fields);
    assert_eq!(
        verdict.refused.and_then(|finding| finding.reason().nbr()),
        Some(17)
    );
    let strict = policy().with(Finding::ChainIncomplete, Action::Refuse);
    let verdict = judge(&world(), &strict, &fields);
    assert_eq!(
        verdict.refused.and_then(|finding| finding.reason().nbr()),
        Some(16)
    );
    assert!(verdict.has(Finding::NodeBlocked) && verdict.has(Finding::SenderUnknown));
}

#[test]
fn a_chain_beyond_all_measure_has_too_many_hops_under_every_policy() {
    let nodes = vec!["reseller.example 9 1"; 20_000];
    let policy = SupplyPolicy::default();
    assert!(judge(&world(), &policy, &chain("1", &nodes)).has(Finding::TooManyHops));
    assert!(!judge(&world(), &policy, &chain("1", &nodes[..64])).has(Finding::TooManyHops));
}

#[test]
fn files_that_say_nothing_are_refused_and_cost_themselves_only() {
    let mut supply = world();
    let site = Inventory::Site;
    assert_eq!(
        supply.add_owner(site, "localhost", NEWS.as_bytes()),
        Err(NothingRead::NoDomain)
    );
    assert_eq!(
        supply.add_owner(site, "www.news.example", NEWS.as_bytes()),
        Err(NothingRead::Twice)
    );
    assert_eq!(
        supply.add_owner(site, "b.example", b"<html>Not, found</html>"),
        Err(NothingRead::NoRecord)
    );
    assert_eq!(
        supply.add_sellers("exchange.example", b"{\"sellers\":[]}"),
        Err(NothingRead::Twice)
    );
    assert!(matches!(
        supply.add_sellers("b.example", b"{"),
        Err(NothingRead::NotSellers(_))
    ));
    assert_eq!(supply.add_developers(b"# none\n"), Err(NothingRead::NoRecord));
    assert_eq!(supply.counts(), [5, 1, 2]);
}

#[test]
fn a_folder_is_read_with_what_is_wrong_in_it_and_its_stamp_tells_changes() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    let (nothing, unusable) = Supply::open(root).expect("no files");
    assert_eq!((nothing.counts(), unusable.len()), ([0, 0, 0], 0));
    let empty = Supply::stamp(root).expect("no files");
    for (path, text) in [
        ("ads.txt/news.example.txt", NEWS),
        ("ads.txt/.hidden.example.txt", NEWS),
        ("ads.txt/readme.md", "no list"),
        ("ads.txt/broken.example.txt", "<html>"),
        ("app-ads.txt/studio.example.txt", "exchange.example, a1, DIRECT"),
        ("sellers/exchange.example.json", EXCHANGE),
        ("sellers/broken.example.json", "{"),
        ("developers.txt", "com.game, studio.example"),
    ] {
        let path = root.join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, text).expect("written");
    }
    fs::create_dir(root.join("ads.txt/folder.example.txt")).expect("made");
    let (supply, unusable) = Supply::open(root).expect("a folder");
    assert_eq!(supply.counts(), [1, 1, 1]);
    let shown: Vec<String> = unusable.iter().map(ToString::to_string).collect();
    assert_eq!(shown.len(), 3, "{shown:?}");
    assert!(
        shown[0].contains("ads.txt/broken.example.txt: holds no record"),
        "{shown:?}"
    );
    assert!(
        shown[1].contains("folder.example.txt: cannot be read"),
        "{shown:?}"
    );
    assert!(
        shown[2].contains("sellers/broken.example.json: is no sellers.json: EOF"),
        "{shown:?}"
    );

    let full = Supply::stamp(root).expect("a folder");
    assert_ne!(empty, full);
    assert_eq!(full, Supply::stamp(root).expect("a folder"));
    let next = root.join("next");
    fs::write(&next, NEWS).expect("written");
    fs::rename(next, root.join("ads.txt/news.example.txt")).expect("renamed");
    assert_ne!(full, Supply::stamp(root).expect("a folder"));
}

#[test]
fn a_check_allocates_nothing() {
    let (supply, policy) = (world(), policy());
    let mut buffers = RequestBuffers::default();
    for (finding, fields) in faults() {
        let mut body = format!(r#"{{"id":"r","imp":[{{"id":"1","banner":{{}}}}],{fields}}}"#).into_bytes();
        let request = buffers.parse(&mut body).expect("a request");
        let before = ALLOCATIONS.get();
        let verdict = supply.check(&request, &policy);
        assert_eq!(ALLOCATIONS.get() - before, 0, "{finding:?}");
        assert!(verdict.has(finding));
        buffers.recycle(request);
    }
}

proptest! {
    #[test]
    fn any_bytes_can_be_files(
        file in prop::collection::vec(any::<u8>(), 0..300), lines in "[a-c.,=#;\n DIRECTSUBOMN]{0,200}", name in "\\PC{0,40}",
    ) {
        let mut supply = Supply::default();
        for file in [&file[..], lines.as_bytes()] {
            drop(supply.add_owner(Inventory::Site, &name, file));
            drop(supply.add_owner(Inventory::App, "a.b", file));
            drop(supply.add_sellers(&name, file));
            drop(supply.add_developers(file));
        }
        judge(&supply, &policy(), &format!(r#""app":{{"domain":"a.b"}},{}"#, chain("1", &["a.b c 1"])));
    }

    #[test]
    fn any_chain_can_be_checked(
        nodes in prop::collection::vec("[a-zA-Z.-]{1,20} [a-z0-9-]{1,8} [012-]", 0..8), complete in 0..4u8,
        domain in "[a-z.]{0,30}",
    ) {
        let nodes: Vec<&str> = nodes.iter().map(String::as_str).collect();
        let fields = format!(r#""site":{{"domain":"{domain}"}},{}"#, chain(&complete.to_string(), &nodes));
        let verdict = judge(&world(), &policy(), &fields);
        prop_assert_eq!(verdict.refused.is_some(), verdict.has(Finding::NodeBlocked));
    }

    /// Authorised is exactly who stands in the file, in whatever order and however often.
    #[test]
    fn whoever_stands_in_the_file_is_authorised_and_nobody_else(
        lines in prop::collection::vec((0..4u8, 0..20u8, any::<bool>()), 1..40), asked in (0..4u8, 0..20u8),
    ) {
        let file: String = lines
            .iter()
            .map(|(system, account, direct)| {
                format!("s{system}.example,{account},{}\n", if *direct { "DIRECT" } else { "RESELLER" })
            })
            .collect();
        let mut supply = Supply::default();
        supply.add_owner(Inventory::Site, "a.example", b"s0.example,0,DIRECT\ns3.example,19,RESELLER").expect("a file");
        supply.add_owner(Inventory::Site, "news.example", file.as_bytes()).expect("a file");
        let node = format!("s{}.example {} 1", asked.0, asked.1);
        let verdict = judge(&supply, &SupplyPolicy::default(), &format!("{SITE},{}", chain("1", &[&node])));
        let stands = lines.iter().filter(|(system, account, _)| (*system, *account) == asked);
        let direct = stands.clone().any(|(_, _, direct)| *direct);
        prop_assert_eq!(verdict.has(Finding::AdsTxtViolation), stands.clone().count() == 0);
        prop_assert_eq!(verdict.has(Finding::OwnerNotDirect), stands.count() > 0 && !direct);
    }
}
