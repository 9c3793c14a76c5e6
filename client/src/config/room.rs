//! What `bolillero room` is told: by options only.

use bolillero_protocol::room::{NAME_LENGTH_MAX, Name, PORT_DEFAULT};

use super::{TimeOptions, UsageError, office, usage};
use crate::args::RoomArgs;
use crate::connect::{Listener, Office};

/// What `bolillero room` is to do.
#[derive(Debug)]
pub struct RoomConfig {
    /// Where the room is, and how long to wait for it.
    pub office: Office,
    /// What the others are to know this guest by.
    pub name: Name,
    /// The text behind which it leaves, once a line with it is shown.
    pub until: Option<String>,
}

impl RoomConfig {
    /// Reads the options.
    ///
    /// # Errors
    /// [`UsageError`] names the first that cannot be meant.
    pub fn new(args: RoomArgs) -> Result<Self, UsageError> {
        let name = Name::parse(&args.name).ok_or_else(|| {
            let rule = format!(
                "is not 1 to {NAME_LENGTH_MAX} of A-Z a-z 0-9 - _, or is a number or the server's"
            );
            usage("name", format!("{:?}", args.name), rule)
        })?;
        if args.until.as_deref() == Some("") {
            return Err(usage("until", "\"\"", "is in every line: give the text to wait for"));
        }
        let times = TimeOptions {
            connect: args.connect_timeout.as_deref(),
            reply: &args.reply_timeout,
            peer: &args.peer_timeout,
        };
        let office = office(&args.server, (Listener::Room, PORT_DEFAULT), &times, &args.tls)?;
        Ok(Self { office, name, until: args.until })
    }
}
