//! Cuts what a room sends into objects. Keeps no more of one than may be of use, and knows none.

use bolillero_protocol::room::{Object, Objects, ReadError};

use super::error::RoomError;

/// The longest object that is read to its end, in bytes. One over the protocol's limit is told of.
pub const OBJECT_LENGTH_MAX: usize = 64 << 10;

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
