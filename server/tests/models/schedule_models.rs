//! The word that a connection's turn hangs on: no cause is lost, and no two threads turn at a time.

use std::sync::Arc;

use loom::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use loom::thread;

use crate::conn::Causes;
use crate::sources::driver::Word;
use crate::{Model, explore};

pub(crate) const MODELS: [Model; 2] = [
    ("no_cause_is_lost_and_no_two_threads_turn_at_once", no_cause_is_lost),
    ("what_was_written_before_a_wake_is_seen_by_the_turn_after_it", what_was_written_is_seen),
];

/// A connection: its word, and what a turn notes.
struct Place {
    word: Word,
    turning: AtomicBool,
    seen: AtomicU32,
}

impl Place {
    /// At rest.
    fn new() -> Arc<Self> {
        let (turning, seen) = (AtomicBool::new(false), AtomicU32::new(0));
        let place = Self { word: Word::new(), turning, seen };
        assert!(place.word.rest());
        Arc::new(place)
    }

    /// What `Slot::due` does, with a turn in the place of a queue.
    fn due(&self, causes: Causes) {
        if self.word.due(causes) {
            self.turn();
        }
    }

    /// What `slot::advance` does.
    fn turn(&self) {
        loop {
            assert!(!self.turning.swap(true, Ordering::Relaxed), "two threads turn at once");
            let causes = self.word.take();
            self.seen.fetch_or(causes.bits(), Ordering::Relaxed);
            self.turning.store(false, Ordering::Relaxed);
            if self.word.rest() {
                return;
            }
        }
    }
}

/// Three threads find causes; whoever finds the word at rest turns.
fn no_cause_is_lost() {
    explore(3, || {
        let place = Place::new();
        let others = [Causes::MAIL, Causes::READABLE].map(|causes| {
            let place = Arc::clone(&place);
            thread::spawn(move || place.due(causes))
        });
        place.due(Causes::DEADLINE);
        for other in others {
            other.join().unwrap();
        }
        let all = Causes::MAIL.and(Causes::READABLE).and(Causes::DEADLINE);
        assert_eq!(place.seen.load(Ordering::Relaxed), all.bits());
        assert_eq!(place.word.take(), Causes::NONE);
    });
}

/// Mail carries no data: a session looks at what it waits for, which was written, with no order of its own, before the wake.
fn what_was_written_is_seen() {
    explore(3, || {
        let place = Place::new();
        let news = Arc::new([AtomicU32::new(0), AtomicU32::new(0)]);
        let looked = Arc::new([AtomicU32::new(0), AtomicU32::new(0)]);
        let wakers = [0, 1].map(|who| {
            let (place, news, looked) = (place.clone(), news.clone(), looked.clone());
            thread::spawn(move || {
                news[who].store(1, Ordering::Relaxed);
                if place.word.due(Causes::MAIL) {
                    loop {
                        place.word.take();
                        for (look, news) in looked.iter().zip(&*news) {
                            look.store(news.load(Ordering::Relaxed), Ordering::Relaxed);
                        }
                        if place.word.rest() {
                            break;
                        }
                    }
                }
            })
        });
        for waker in wakers {
            waker.join().unwrap();
        }
        let looked = [looked[0].load(Ordering::Relaxed), looked[1].load(Ordering::Relaxed)];
        assert_eq!(looked, [1, 1], "the last turn looked before it was told");
    });
}
