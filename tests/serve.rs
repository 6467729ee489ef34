//! The binary as exchanges, browsers and operators meet it: real processes, real sockets, money on a real disk.
//!
//! Every test starts from a folder of its own or shares one running bidder, in which it uses a campaign of its own.

#[path = "serve/admin.rs"]
mod admin;
#[path = "serve/allocation.rs"]
mod allocation;
#[path = "serve/approvals.rs"]
mod approvals;
#[path = "serve/bidder.rs"]
mod bidder;
#[path = "serve/caps.rs"]
mod caps;
#[path = "serve/command_line.rs"]
mod command_line;
#[path = "serve/configuration.rs"]
mod configuration;
#[path = "serve/crash.rs"]
mod crash;
#[path = "serve/crowd.rs"]
mod crowd;
#[path = "serve/drain.rs"]
mod drain;
#[path = "serve/exchanges.rs"]
mod exchanges;
#[path = "serve/explain.rs"]
mod explain;
#[path = "serve/http.rs"]
mod http;
#[path = "serve/money.rs"]
mod money;
#[path = "serve/nodes.rs"]
mod nodes;
#[path = "serve/openmetrics.rs"]
mod openmetrics;
#[path = "serve/opt_out.rs"]
mod opt_out;
#[path = "serve/privacy.rs"]
mod privacy;
#[path = "serve/protobuf.rs"]
mod protobuf;
#[path = "serve/reconcile.rs"]
mod reconcile;
#[path = "serve/reload.rs"]
mod reload;
#[path = "serve/restart.rs"]
mod restart;
#[allow(dead_code)]
#[path = "shared/server.rs"]
mod server;
#[path = "serve/shading.rs"]
mod shading;
#[path = "serve/traces.rs"]
mod traces;
#[path = "serve/wire.rs"]
mod wire;
