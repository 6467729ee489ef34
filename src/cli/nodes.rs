//! `outbid nodes`: the nodes that share budgets, and the word that one of them will not come back.

use super::{NodesArguments, NodesCommand, say};
use anyhow::{Context, bail};
use outbid::pacing::lease::{Inbox, Node};
use outbid::server;
use serde_json::json;
use std::process::ExitCode;

pub fn run(arguments: &NodesArguments) -> anyhow::Result<ExitCode> {
    let loaded = arguments.folder.load()?;
    let Some(shared) = &loaded.settings.shared else {
        bail!(
            "no nodes: this configuration shares its budgets with nobody (`[budgets] authority = \"redis\"` in outbid.toml would)"
        );
    };
    let mut inbox = Inbox::new(shared);
    match arguments.command {
        None => list(&mut inbox, arguments.json),
        Some(NodesCommand::DeclareDead { node }) => declare_dead(&mut inbox, node),
    }
}

fn list(inbox: &mut Inbox, as_json: bool) -> anyhow::Result<ExitCode> {
    let now = server::now();
    let nodes = inbox.nodes(now).context("the nodes cannot be read")?;
    if as_json {
        let all: Vec<_> = nodes
            .iter()
            .map(|node| {
                json!({
                    "node": node.number,
                    "state": node.state,
                    "lease": node.lease,
                    "seen_ms": node.seen_ms,
                    "declared": node.declared,
                    "limits": node.limits,
                    "waiting": node.waiting,
                })
            })
            .collect();
        say(&serde_json::to_string_pretty(&all)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut lines = vec![format!(
        "{:>6} {:<6} {:>7} {:>10} {:>8} {:>8}",
        "node", "state", "lease", "seen", "limits", "waiting"
    )];
    lines.extend(nodes.iter().map(|node| row(node, now.0)));
    if let Some(silent) = nodes.iter().find(|node| node.state == "live" && !node.declared) {
        lines.push(format!(
            "node {} has not told what it holds since the server was restarted: nothing is granted until it has. If it will not \
             come back: outbid nodes declare-dead {}",
            silent.number, silent.number
        ));
    }
    say(&lines.join("\n"))?;
    Ok(ExitCode::SUCCESS)
}

fn row(node: &Node, now_ms: i64) -> String {
    let seen = format!("{} s ago", (now_ms - node.seen_ms).max(0) / 1000);
    format!(
        "{:>6} {:<6} {:>7} {:>10} {:>8} {:>8}",
        node.number, node.state, node.lease, seen, node.limits, node.waiting
    )
}

fn declare_dead(inbox: &mut Inbox, node: u16) -> anyhow::Result<ExitCode> {
    let was = inbox.declare_dead(node, server::now())?;
    say(&format!(
        "node {node} was {was} and is dead: what it had on record stays charged in full. A machine that takes its place needs \
         another number and an empty data folder."
    ))?;
    Ok(ExitCode::SUCCESS)
}
