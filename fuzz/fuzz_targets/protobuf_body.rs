#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| outbid_fuzz::protobuf_body(data));
