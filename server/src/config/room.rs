//! What a server is told of the room where operators talk.

use std::net::SocketAddr;

use anyhow::ensure;
use bolillero_protocol::room;

use super::address::resolve;
use super::units::deadline_flag;
use crate::args::RoomArgs;
use crate::room::RoomLimits;

/// The most guests that can be asked for.
pub const ROOM_CAPACITY_MAX: usize = 10_000;
/// The most of the last messages that can be kept: each may have a kilobyte.
pub const ROOM_HISTORY_MAX: usize = 10_000;
/// The most objects that may wait for a guest: they are shared by all whom they wait for.
pub const ROOM_QUEUE_MAX: usize = 65_536;
/// The most objects that a guest may be allowed to send at once.
pub const ROOM_BURST_MAX: u32 = 10_000;

/// A room, and where it is.
#[derive(Debug, Clone, Copy)]
pub struct RoomService {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Guests come without TLS.
    pub plaintext: bool,
    /// What it keeps to.
    pub limits: RoomLimits,
}

impl RoomService {
    /// The room beside a lottery, if there is one.
    pub(super) fn beside(args: &RoomArgs, has_tls: bool) -> anyhow::Result<Option<Self>> {
        let limits = limits(args)?;
        let Some(listen) = &args.room else { return Ok(None) };
        ensure!(
            has_tls || args.room_plaintext,
            "--room {listen}: guests come over TLS: give --tls-cert and --tls-key, or on a network \
             that you trust --room-plaintext"
        );
        let listen = resolve("room", listen, room::PORT_DEFAULT)?;
        Ok(Some(Self { listen, plaintext: args.room_plaintext, limits }))
    }
}

fn limits(args: &RoomArgs) -> anyhow::Result<RoomLimits> {
    let RoomArgs { room_capacity, room_history, room_queue, room_burst, .. } = *args;
    ensure!(
        (1..=ROOM_CAPACITY_MAX).contains(&room_capacity),
        "--room-capacity {room_capacity}: not 1 to {ROOM_CAPACITY_MAX}"
    );
    ensure!(
        room_history <= ROOM_HISTORY_MAX,
        "--room-history {room_history}: more than {ROOM_HISTORY_MAX}"
    );
    ensure!(
        (1..=ROOM_QUEUE_MAX).contains(&room_queue),
        "--room-queue {room_queue}: not 1 to {ROOM_QUEUE_MAX}"
    );
    ensure!(
        (1..=ROOM_BURST_MAX).contains(&room_burst),
        "--room-burst {room_burst}: not 1 to {ROOM_BURST_MAX}"
    );
    Ok(RoomLimits {
        capacity: room_capacity,
        history_max: room_history,
        queue_objects_max: room_queue,
        burst_objects: room_burst,
        refill_time: deadline_flag("room-refill", &args.room_refill)?,
        object_time_max: deadline_flag("room-object-timeout", &args.room_object_timeout)?,
    })
}
