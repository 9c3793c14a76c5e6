//! A guest of the room: what its lines ask of the server, and what the server's objects are to it.
//! Knows no socket, no clock, and neither terminal nor script.
//!
//! ```text
//! server   200 number       a place          guest   210 name
//! server   203 name         it is named      or 400: another has it, or none may
//! ```
//! A server that does not answer the name knows none: there the guest is a number, as deployed
//! clients are, and says 201 as they do.

use bolillero_protocol::room::{
    NEW_USER, Name, OBJECT_BYTES_MAX, Object, Objects, ReadError, SERVER, Value, status,
};

use super::error::RoomError;
use super::shown;
use super::typed::{HELP, Typed};

/// The longest object that is read to its end, in bytes. One over the protocol's limit is told of.
pub const OBJECT_LENGTH_MAX: usize = 64 << 10;

/// One guest, on one connection.
#[derive(Debug)]
pub struct Guest {
    name: Name,
    place: Place,
    /// What the server calls it while it has no name.
    number: u64,
    /// Answers to `/who` that are owed.
    owed: u32,
    /// How much of what was to be said or asked was refused, here or there.
    refused: u64,
    leaving: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Outside,
    /// The name was given, and is not answered.
    Naming,
    Named,
    /// The server knows no names.
    Unnamed,
}

/// What a line asks to be done.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Deed {
    /// An object to send.
    pub send: Option<Vec<u8>>,
    /// Lines to show.
    pub tell: Vec<String>,
    /// Whether to leave.
    pub leave: bool,
}

/// What an object is to the guest.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Arrival {
    /// A line to show.
    pub show: Option<String>,
    /// An object to send.
    pub send: Option<Vec<u8>>,
}

impl Guest {
    /// One that has not entered.
    #[must_use]
    pub fn new(name: Name) -> Self {
        Self { name, place: Place::Outside, number: 0, owed: 0, refused: 0, leaving: false }
    }

    /// What it is called, for its prompt.
    #[must_use]
    pub fn name(&self) -> &str {
        self.name.as_str()
    }

    /// Whether it has given its name, and waits for the answer.
    #[must_use]
    pub fn is_naming(&self) -> bool {
        self.place == Place::Naming
    }

    /// Whether it may speak.
    #[must_use]
    pub fn is_in(&self) -> bool {
        matches!(self.place, Place::Named | Place::Unnamed)
    }

    /// Whether an answer is owed to it.
    #[must_use]
    pub fn is_owed(&self) -> bool {
        self.owed > 0
    }

    /// Whether it has said that it leaves.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        self.leaving
    }

    /// How much of what was to be said or asked was refused, here or there.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// It leaves: an end of the connection is no surprise.
    pub fn leave(&mut self) {
        self.leaving = true;
    }

    /// The name had no answer in time: the server knows none.
    pub fn go_unnamed(&mut self) -> Arrival {
        self.place = Place::Unnamed;
        let number = self.number;
        Arrival {
            show: Some(format!("* this room knows no names: here you are guest {number}")),
            send: Some(encoded(Value::NULL, status::NEW_USER, Value::text(NEW_USER))),
        }
    }

    /// A line was typed.
    pub fn typed(&mut self, line: &str) -> Deed {
        match Typed::read(line) {
            Typed::Nothing => Deed::default(),
            Typed::Exit => Deed { leave: true, ..Deed::default() },
            Typed::Help => {
                Deed { tell: HELP.map(|line| format!("* {line}")).into(), ..Deed::default() }
            }
            Typed::Unknown(problem) => self.refuse(&shown::plain(&problem)),
            Typed::Say(text) => match self.say(text) {
                Ok(object) => Deed { send: Some(object), ..Deed::default() },
                Err(problem) => self.refuse(&problem),
            },
            Typed::Who | Typed::History(_) if self.place != Place::Named => {
                self.refuse("this room cannot be asked that")
            }
            Typed::Who => {
                self.owed += 1;
                let send = encoded(Value::NULL, status::PRESENT, Value::NULL);
                Deed { send: Some(send), ..Deed::default() }
            }
            Typed::History(count) => Deed {
                send: Some(encoded(Value::NULL, status::HISTORY, Value::number(count))),
                tell: vec![format!("* the last messages, up to {count}:")],
                leave: false,
            },
        }
    }

    /// A line was typed that cannot be said.
    pub fn refuse(&mut self, problem: &str) -> Deed {
        self.refused += 1;
        Deed { tell: vec![format!("! {problem}")], ..Deed::default() }
    }

    /// A message. It has to fit as it is sent and as it is passed on.
    fn say(&self, text: &str) -> Result<Vec<u8>, String> {
        let passed_on = |text| encoded(self.sender(), status::CHAT, Value::text(text)).len();
        let sent = encoded(Value::NULL, status::CHAT, Value::text(text));
        if passed_on(text).max(sent.len()) <= OBJECT_BYTES_MAX {
            return Ok(sent);
        }
        let frame = passed_on("").max(encoded(Value::NULL, status::CHAT, Value::text("")).len());
        let (length, most) = (passed_on(text) - passed_on(""), OBJECT_BYTES_MAX - frame);
        Err(format!(
            "not said: it has {length} bytes, and {most} are the most; what is not ASCII counts as \
             6 or 12"
        ))
    }

    fn sender(&self) -> Value<'static> {
        match self.place {
            Place::Unnamed => Value::number(self.number),
            _ => Value::text(self.name.as_str()),
        }
    }

    /// An object has come, or what should be one.
    ///
    /// # Errors
    /// [`RoomError`]: why this is the end of the stay.
    pub fn arrives(&mut self, read: Result<Object<'_>, ReadError>) -> Result<Arrival, RoomError> {
        let object = match read {
            Ok(object) => object,
            Err(error) if error.closes() => return Err(RoomError::Unreadable(error)),
            Err(error) => return Ok(shows(format!("! what came is not shown: {error}"))),
        };
        let (who, what) = (|| shown::guest(&object.content), || shown::content(&object.content));
        let sender = || shown::guest(&object.sender_id);
        Ok(match object.status.as_number() {
            Some(status::CHAT) => match self.number_given(&object) {
                Some(number) => self.give_name(number),
                None => shows(format!("{}: {}", sender(), what())),
            },
            // Those with a name are told by 203.
            Some(status::NEW_USER) if self.place == Place::Named => Arrival::default(),
            Some(status::NEW_USER) => shows(format!("* {} came", sender())),
            Some(status::LEFT) => shows(format!("* {} left", who())),
            Some(status::CAME) if self.takes_name(&object.content) => {
                shows(format!("* you are {}", self.name.as_str()))
            }
            Some(status::CAME) => shows(format!("* {} came", who())),
            Some(status::PRESENT) => {
                self.owed = self.owed.saturating_sub(1);
                shows(format!("* here: {}", shown::present(&object.content)))
            }
            Some(status::FULL) if self.place == Place::Outside => return Err(RoomError::Full),
            Some(status::REFUSED) if self.place == Place::Naming => {
                let name = self.name.as_str().to_owned();
                return Err(RoomError::Name { name, text: what() });
            }
            Some(status::REFUSED | status::TOO_FAST) => {
                // It may be a question that was refused.
                self.owed = 0;
                self.refused += 1;
                shows(format!("! {}", what()))
            }
            _ => shows(format!(
                "* {}, status {}: {}",
                sender(),
                shown::content(&object.status),
                what()
            )),
        })
    }

    /// The number with which the server lets it in.
    fn number_given(&self, object: &Object<'_>) -> Option<u64> {
        let is_servers = object.sender_id.as_text().as_deref() == Some(SERVER);
        (self.place == Place::Outside && is_servers).then(|| object.content.as_number()).flatten()
    }

    fn give_name(&mut self, number: u64) -> Arrival {
        (self.number, self.place) = (number, Place::Naming);
        let name = Value::text(self.name.as_str());
        Arrival { show: None, send: Some(encoded(Value::NULL, status::NAME, name)) }
    }

    /// Whether this is the answer to its name: nobody else can come with it. It may be late.
    fn takes_name(&mut self, content: &Value<'_>) -> bool {
        let is_own =
            content.as_text().and_then(|name| Name::parse(&name)) == Some(self.name.clone());
        let takes = is_own && matches!(self.place, Place::Naming | Place::Unnamed);
        if takes {
            self.place = Place::Named;
        }
        takes
    }
}

/// The objects of a connection, one after another.
#[derive(Debug, Default)]
pub struct Arrivals {
    objects: Objects,
    /// Bytes of the object that is not whole.
    length: usize,
}

impl Arrivals {
    /// Hands the objects in `bytes`, however they are cut, to `each`.
    ///
    /// # Errors
    /// Those of `each`, and [`RoomError::Endless`].
    pub fn take<E: From<RoomError>>(
        &mut self,
        mut bytes: &[u8],
        mut each: impl FnMut(Result<Object<'_>, ReadError>) -> Result<(), E>,
    ) -> Result<(), E> {
        while !bytes.is_empty() {
            let (taken, object) = self.objects.next(bytes);
            bytes = &bytes[taken..];
            match object {
                Some(object) => {
                    each(object)?;
                    self.length = 0;
                }
                None => self.length += taken,
            }
            if !self.objects.is_partial() {
                self.length = 0;
            }
            if self.length > OBJECT_LENGTH_MAX {
                return Err(RoomError::Endless.into());
            }
        }
        Ok(())
    }
}

fn shows(line: String) -> Arrival {
    Arrival { show: Some(line), send: None }
}

fn encoded(sender_id: Value<'_>, status: u64, content: Value<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    Object { sender_id, status: Value::number(status), content }.encode(&mut out);
    out
}
