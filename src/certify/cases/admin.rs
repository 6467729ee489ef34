//! Questions to the admin API of an Outbid (`--admin`), for what does not show in bids.
//!
//! Invariant: where it is not there or does not answer, what was asked about is not tested.

use crate::certify::answer::Answer;
use crate::certify::case::{Flaw, not_tested};
use crate::certify::client::Call;
use crate::certify::stage::Stage;
use serde_json::Value;

/// The JSON of a 200.
pub fn ask(stage: &Stage, mut call: Call) -> Result<Value, Flaw> {
    let Some(admin) = &stage.settings.admin else {
        return not_tested("it is seen through --admin only");
    };
    if let Some(token) = &stage.settings.admin_token {
        call = call.with("Authorization", &format!("Bearer {token}"));
    }
    let answer = stage.client.ask(&admin.authority, &call).map(Answer::read);
    let answer =
        answer.or_else(|error| not_tested(format!("the admin API at {admin} does not answer: {error}")))?;
    match answer.json {
        Some(json) if answer.reply.status == 200 => Ok(json),
        _ => not_tested(format!(
            "the admin API at {admin} answered {}",
            answer.reply.status
        )),
    }
}
