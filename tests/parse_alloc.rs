//! A warm parser allocates nothing, whatever mixture of requests in both formats comes, refused ones included; nor does
//! consent. A cold one allocates no more than a multiple of the body.

use outbid::certify::protobuf;
use outbid::openrtb::RequestBuffers;
use outbid::openrtb::privacy::{Consent, PrivacyPolicy};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
    static BYTES: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call is passed on unchanged to the system's allocator; counting touches a thread-local cell that
// needs neither allocation nor destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        BYTES.with(|bytes| bytes.set(bytes.get() + layout.size()));
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        BYTES.with(|bytes| bytes.set(bytes.get() + new_size));
        unsafe { System.realloc(memory, layout, new_size) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const REQUESTS: [&str; 6] = [
    r#"{"id":"banner","imp":[{"id":"1","banner":{"format":[{"w":300,"h":250},{"w":320,"h":50}],"battr":[1,2]},
        "pmp":{"deals":[{"id":"d","bidfloor":2,"wseat":["a"],"durfloors":[{"mindur":1,"bidfloor":2}]}]}}],
        "bcat":[25,"IAB26",7],"badv":["a.example"],"site":{"cat":["IAB1"],"keywords":"a,b","content":{"cat":["IAB2"]}},
        "user":{"data":[{"id":"p","segment":[{"id":1,"value":"2"}]}],"eids":[{"source":"s","uids":[{"id":"u"}]}]},
        "device":{"ua":"Mozilla/5.0 (Windows NT 10.0) Firefox/125.0",
        "sua":{"platform":{"brand":"Windows","version":["10","0"]}}},
        "source":{"schain":{"complete":1,"nodes":[{"asi":"x.example","sid":"1"}]}}}"#,
    r#"{"id":"native","imp":[{"id":"1","native":{"request":"{\"native\":{\"assets\":[{\"id\":1,\"title\":{\"len\":9}}]}}"}},
        {"id":"2","native":{"request":{"assets":[{"id":1,"img":{"type":3}}]}}},{"id":"3","native":{"request":"no"}}]}"#,
    r#"{"id":"escaped \u00e9 \"text\"","imp":[{"id":"1","video":{"mimes":["video/mp4"],"rqddurs":[15,30]}},
        {"id":"2","audio":{"mimes":["audio/mpeg"],"podid":"p","companionad":[{"w":300,"h":250,"battr":[1],"vcm":1}]}}],"at":1}"#,
    r#"{"id":"consent","imp":[{"id":"1","banner":{"w":1,"h":1}}],"user":{"id":"u",
        "consent":"CPXxRfAPXxRfAAfKABENB-CgAAAAAAAAAAYgAAAAAAAA.YAAAAAAAAAA"},"regs":{"gdpr":1,"us_privacy":"1YNN",
        "gpp":"DBACMYA~CPXxRfAPXxRfAAfKABENB-CgAAAAAAAAAAYgAAAAAAAA~BVQqAAAAAgA.QA","gpp_sid":[2,7]}}"#,
    r#"{"id":"refused","imp":[{"id":"1","bidfloor":-1,"banner":{"format":[{"w":1,"h":1}]}}]}"#,
    r#"{"id":"refused","imp":[{"#,
];

#[test]
fn a_warm_parser_allocates_nothing() {
    let mut buffers = RequestBuffers::default();
    let mut body = Vec::new();
    let policy = PrivacyPolicy {
        gvl_id: Some(755),
        honour_dnt: true,
    };
    let binary = |text: &&str| protobuf::encode(&serde_json::from_str(text).ok()?).ok();
    let mut binaries: Vec<Vec<u8>> = REQUESTS.iter().filter_map(binary).collect();
    // The others are no JSON or have integers where text should be.
    assert_eq!(binaries.len(), 4);
    binaries.push(binaries[0][..100].to_vec());
    let mut round = || {
        let (mut accepted, mut personal) = (0, 0);
        for request in &binaries {
            body.clear();
            body.extend_from_slice(request);
            if let Ok(request) = buffers.parse_protobuf(&mut body) {
                accepted += request.imps.len();
                buffers.recycle(request);
            }
        }
        for request in REQUESTS {
            body.clear();
            body.extend_from_slice(request.as_bytes());
            if let Ok(request) = buffers.parse(&mut body) {
                accepted += request.imps.len();
                personal += usize::from(Consent::decide(&request, &policy).personal_data);
                buffers.recycle(request);
            }
        }
        (accepted, personal)
    };
    assert_eq!(round(), (13, 3));
    round();
    let before = ALLOCATIONS.get();
    for _ in 0..100 {
        round();
    }
    assert_eq!(ALLOCATIONS.get() - before, 0);
}

#[test]
fn the_memory_for_a_protobuf_body_is_bounded_by_its_length() {
    // Growing by doubling allocates each byte up to twice more; 24 bytes for a record of two, 24 for a node of one.
    const BYTES_PER_BYTE: usize = 150;
    const LEN: usize = 100_000;
    let lists = [0x72, 0x83, 0x80, 0x06, 0x1a, 0xff, 0xff, 0x05];
    let nested: Vec<u8> = [&lists[..], &[7; LEN]].concat();
    for (what, unit) in [
        ("records without content", vec![0x12, 0x00]),
        ("unknown records", vec![0x98, 0x06, 0x01]),
        ("texts", vec![0x62, 0x01, b'a']),
        ("numbers one by one", vec![0x38, 0x01]),
        ("packed numbers", nested),
        ("groups", vec![0xa3, 0x26, 0xa4, 0x26]),
    ] {
        let mut body: Vec<u8> = unit.iter().copied().cycle().take(LEN.max(unit.len())).collect();
        let len = body.len();
        let mut buffers = RequestBuffers::default();
        let before = BYTES.get();
        let _ = buffers.parse_protobuf(&mut body);
        let bytes = BYTES.get() - before;
        assert!(bytes <= BYTES_PER_BYTE * len, "{what}: {bytes} bytes for {len}");
    }
}
