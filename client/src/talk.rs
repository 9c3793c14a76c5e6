//! A conversation as a connection carries it: bytes in, bytes out, whatever the protocol. Knows no
//! socket and no clock.

use std::time::Duration;

use crate::dialogue::{Conversation, Dialogue, Next, Progress, Stop};

/// One side of a conversation, over as many connections as it takes.
pub trait Talk {
    /// A connection is there on which nothing is owed: appends what is said first.
    ///
    /// # Errors
    /// [`Stop`], as from all of these: the work ends here.
    fn open(&mut self, out: &mut Vec<u8>) -> Result<(), Stop>;

    /// Bytes have come, however they are cut: appends what is said to them.
    ///
    /// # Errors
    /// [`Stop`].
    fn receive(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<Next, Stop>;

    /// The pause that [`Next::Pause`] asked for is over.
    ///
    /// # Errors
    /// [`Stop`].
    fn resume(&mut self, out: &mut Vec<u8>) -> Result<(), Stop>;

    /// The connection has ended, because of `reason`. Another may be opened.
    ///
    /// # Errors
    /// [`Stop`] when another would not help.
    fn lost(&mut self, reason: &str) -> Result<(), Stop>;

    /// The server has closed so many connections in a row, each without a byte.
    ///
    /// # Errors
    /// [`Stop`] when the next would end the same way.
    fn shunned(&mut self, _connections: u32) -> Result<(), Stop> {
        Ok(())
    }

    /// Whether what came on this connection shows that the server is serving.
    fn is_established(&self) -> bool;

    /// The wait for an answer, if one is owed that has a deadline. The clock restarts when the
    /// number changes.
    fn owed(&self) -> Option<u64>;

    /// The longest wait for that answer, where it is shorter than that for others.
    fn patience(&self) -> Option<Duration> {
        None
    }

    /// How far the work has come.
    fn progress(&self) -> Progress;
}

/// A dialogue with an office, in packets.
pub(crate) struct Packets<'a, D> {
    dialogue: &'a mut D,
    conversation: Conversation,
}

impl<'a, D: Dialogue> Packets<'a, D> {
    pub(crate) fn new(dialogue: &'a mut D) -> Self {
        Self { dialogue, conversation: Conversation::new() }
    }
}

impl<D: Dialogue> Talk for Packets<'_, D> {
    fn open(&mut self, out: &mut Vec<u8>) -> Result<(), Stop> {
        self.conversation = Conversation::new();
        self.dialogue.open(out)
    }

    fn receive(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<Next, Stop> {
        self.conversation.receive(self.dialogue, bytes, out)
    }

    fn resume(&mut self, out: &mut Vec<u8>) -> Result<(), Stop> {
        self.dialogue.resume(out)
    }

    fn lost(&mut self, reason: &str) -> Result<(), Stop> {
        self.dialogue.lost(reason)
    }

    fn shunned(&mut self, connections: u32) -> Result<(), Stop> {
        self.dialogue.shunned(connections)
    }

    fn is_established(&self) -> bool {
        self.dialogue.is_established()
    }

    fn owed(&self) -> Option<u64> {
        self.dialogue.owed()
    }

    fn patience(&self) -> Option<Duration> {
        self.dialogue.patience()
    }

    fn progress(&self) -> Progress {
        self.dialogue.progress()
    }
}
