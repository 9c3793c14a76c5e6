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

struct Place {
    slot: Arc<Slot>,
    is_farewell: bool,
}

impl Slots {
    /// Keeps the slot that `make` makes for its number.
    pub(super) fn insert(
        &mut self,
        is_farewell: bool,
        make: impl FnOnce(Token) -> Arc<Slot>,
    ) -> Arc<Slot> {
        let number = self.free.pop().unwrap_or_else(|| {
            self.places.push(None);
            self.places.len() - 1
        });
        let slot = make(Token(number));
        self.places[number] = Some(Place { slot: Arc::clone(&slot), is_farewell });
        *self.count(is_farewell) += 1;
        slot
    }

    pub(super) fn remove(&mut self, token: Token) {
        if let Some(place) = self.places.get_mut(token.0).and_then(Option::take) {
            *self.count(place.is_farewell) -= 1;
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

    fn count(&mut self, is_farewell: bool) -> &mut usize {
        if is_farewell { &mut self.farewells } else { &mut self.served }
    }
}
