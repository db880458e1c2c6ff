//! What a gateway holds for clients that are away: legacy sessions, and calls whose server has asked
//! something.

use anyhow::{Result, ensure};
use futures::future::try_join_all;

use super::caller::{greet, is_result_of};
use super::connection::Connection;
use super::message::FIRST_NUMBER;
use super::on_cores;
use super::target::Target;
use crate::payload::{Payload, SMALL};

/// Opens `count` legacy sessions of all apps in turn, each of which has made a call, and leaves them.
pub(crate) fn sessions(target: &Target, count: usize, cores: &[usize]) -> Result<()> {
    on_cores(
        cores,
        by_hands(target, count, async |connection, target, number| {
            let session = greet(connection, target, number).await?;
            let mut call = target.legacy_call(&session, SMALL);
            let answer = connection.exchange(call.with(number)).await?;
            is_result_of(&answer, number, &Payload::of(SMALL))
        }),
    )
}

/// Makes `count` calls of all apps in turn that are answered with questions, and leaves them.
pub(crate) fn parked(target: &Target, count: usize, cores: &[usize]) -> Result<()> {
    on_cores(
        cores,
        by_hands(target, count, async |connection, target, number| {
            let mut call = target.call_with_forms(SMALL);
            let answer = connection.exchange(call.with(number)).await?;
            let text = String::from_utf8_lossy(answer.body);
            ensure!(text.contains("\"requestState\":"), "nothing is asked: {text}");
            Ok(())
        }),
    )
}

/// Does it `count` times over a few connections.
async fn by_hands(
    target: &Target,
    count: usize,
    deed: impl AsyncFn(&mut Connection, &Target, u64) -> Result<()>,
) -> Result<()> {
    let hands = (0..HANDS).map(async |hand| {
        let mut connection = target.connect().await?;
        for number in (hand..count).step_by(HANDS) {
            let target = target.in_turn(number);
            deed(&mut connection, &target, FIRST_NUMBER + number as u64).await?;
        }
        anyhow::Ok(())
    });
    try_join_all(hands).await.map(drop)
}

const HANDS: usize = 16;
