//! All slots of a server by number. Knows how many connections are served, and how many are only
//! told that there is no room.

use std::sync::Arc;

use mio::Token;

use super::slot::Slot;

/// Numbers are used again, the last one first.
#[derive(Default)]
pub(super) struct Slots {
    places: Vec<Option<Place>>,
    free: Vec<usize>,
    served: usize,
    farewells: usize,
}

/// What a slot is for.
#[derive(Clone, Copy)]
pub(super) enum Purpose {
    /// A connection.
    Serving,
    /// To tell somebody that there is no room.
    Farewell,
}

struct Place {
    slot: Arc<Slot>,
    purpose: Purpose,
}

impl Slots {
    /// Keeps the slot that `make` makes for its number.
    pub(super) fn insert(
        &mut self,
        purpose: Purpose,
        make: impl FnOnce(Token) -> Arc<Slot>,
    ) -> Arc<Slot> {
        let number = self.free.pop().unwrap_or_else(|| {
            self.places.push(None);
            self.places.len() - 1
        });
        let slot = make(Token(number));
        self.places[number] = Some(Place { slot: Arc::clone(&slot), purpose });
        match purpose {
            Purpose::Serving => self.served += 1,
            Purpose::Farewell => self.farewells += 1,
        }
        slot
    }

    pub(super) fn remove(&mut self, token: Token) {
        if let Some(place) = self.places.get_mut(token.0).and_then(Option::take) {
            match place.purpose {
                Purpose::Serving => self.served -= 1,
                Purpose::Farewell => self.farewells -= 1,
            }
            self.free.push(token.0);
        }
    }

    pub(super) fn get(&self, token: Token) -> Option<&Arc<Slot>> {
        Some(&self.places.get(token.0)?.as_ref()?.slot)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Slot>> {
        self.places.iter().flatten().map(|place| &place.slot)
    }

    pub(super) fn served(&self) -> usize {
        self.served
    }

    pub(super) fn farewells(&self) -> usize {
        self.farewells
    }

    pub(super) fn len(&self) -> usize {
        self.served + self.farewells
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
