//! The room's wire: JSON objects of those who talk there, in both directions. Knows no socket, and
//! not who is in the room.
//!
//! ```text
//! {"sender_id": 1, "status": 200, "content": "hola"} LF
//!
//! object   what travels, and how it is written
//! reader   objects out of a stream, however they are cut or joined
//! name     what a guest may call itself
//! ```

mod object;
mod reader;
mod name;

pub use name::{NAME_LENGTH_MAX, Name};
pub use object::{Object, Value};
pub use reader::{Objects, ReadError};

/// Where servers listen unless they are told otherwise.
pub const PORT_DEFAULT: u16 = 5001;
/// The longest object: with its line feed where it is written, without one where it is read.
/// Deployed clients read no more at once.
pub const OBJECT_BYTES_MAX: usize = 1024;
/// The `sender_id` of what the server says itself.
pub const SERVER: &str = "Server";
/// What a deployed client says when it has entered.
pub const NEW_USER: &str = "new_user";
/// What the server says where there is no place.
pub const SERVER_FULL: &str = "server_full";

/// What an object is.
pub mod status {
    /// A message; from the server, the id of whoever has entered.
    pub const CHAT: u64 = 200;
    /// A deployed client has entered.
    pub const NEW_USER: u64 = 201;
    /// Somebody left. Only to guests with a name, as all up to 212.
    pub const LEFT: u64 = 202;
    /// Somebody came.
    pub const CAME: u64 = 203;
    /// A guest gives itself a name.
    pub const NAME: u64 = 210;
    /// Asks who is there, and tells it.
    pub const PRESENT: u64 = 211;
    /// Asks for the last messages.
    pub const HISTORY: u64 = 212;
    /// What was sent is refused; the text says why.
    pub const REFUSED: u64 = 400;
    /// It was refused because too much was sent before it.
    pub const TOO_FAST: u64 = 429;
    /// There is no place.
    pub const FULL: u64 = 500;
}
