//! Messages to an echo server, each on a connection of its own, and compared with what comes back.

use crate::config::ClientConfig;
use crate::connect::ask_line;
use crate::dialogue::Stop;
use crate::ending::Ending;

/// Sends the messages of the loop. There is no pause after the last: nothing would follow it.
///
/// # Errors
/// [`Stop`] at the first message that does not come back.
pub fn run(config: &ClientConfig, ending: &Ending) -> Result<(), Stop> {
    let ClientConfig { id, loop_amount, .. } = *config;
    for k in 1..=loop_amount {
        if k > 1 {
            ending.pause(config.loop_period.time)?;
        }
        let message = format!("[CLIENT {id}] Message N°{k}");
        let lost =
            |reason: &str| Err(Stop::NoEcho { sent: message.clone(), reason: reason.to_owned() });
        ask_line(&config.office, ending, &message, lost)?;
        log::info!("action: receive_message | result: success | client_id: {id} | msg: {message}");
    }
    log::info!("action: loop_finished | result: success | client_id: {id}");
    Ok(())
}
