//! What can fail, and how it is made to: connections, the process, the disk, the power. Decides nothing about what
//! must hold then.

use std::io::ErrorKind;

use bolillero_server::failure::Failure;
use bolillero_server::ledger::last_group;
use bolillero_server::ledger::memory::{Done, Files, MemoryDisk};

use crate::line::{Dialect, Line};
use crate::world::World;

impl World {
    /// Has one thing fail, now or soon.
    pub(crate) fn fail_something(&mut self) {
        match self.chance.below(20) {
            0..=5 => self.leave_a_line(),
            6..=8 => self.reset_a_line(),
            9..=10 => self.stall_a_line(),
            11..=12 => self.kill(),
            13..=14 => self.fail_a_call(20),
            15 => self.stop(),
            16 => self.ask_again(),
            17..=18 => self.limit_room(),
            _ => self.free_room(),
        }
    }

    /// From now on nothing fails. What is under way arrives.
    pub(crate) fn calm(&mut self) {
        self.is_faulty = false;
        self.events.note(format_args!("from now on nothing fails"));
        self.free_room();
        if self.machine.power_fails && self.machine.running.is_some() {
            self.lose_server();
        }
        if self.machine.power_fails {
            self.lose_power();
        }
        self.machine.disk.forget_faults();
        if self.machine.running.is_none() {
            self.start();
        }
    }

    /// The client goes on elsewhere; what it has sent arrives, some time.
    fn leave_a_line(&mut self) {
        if let Some(place) = self.any_line() {
            self.leave_line(place);
        }
    }

    pub(crate) fn leave_line(&mut self, place: usize) {
        let stalled_until = self.events.now + self.chance.below(4000) as u64;
        let is_stalled = self.chance.below(2) == 0;
        let vanishes = self.chance.below(2) == 0;
        self.leave(place);
        let line = &mut self.lines[place];
        // Then no end of its sending arrives either: a newer session, or time, has to end it.
        line.is_ended = !vanishes || line.dialect == Dialect::Text;
        if is_stalled {
            line.stalled_until = stalled_until;
        }
        self.events.note(format_args!("line {}: is left, what it has comes late", line.number));
    }

    /// What was under way is lost, from some byte on.
    fn reset_a_line(&mut self) {
        let Some(place) = self.any_line() else { return };
        self.leave(place);
        let line = &mut self.lines[place];
        let number = line.number;
        let arrives = self.chance.below(line.way.len() + 1);
        line.way.truncate(arrives);
        if line.can_deliver(self.events.now) && !line.way.is_empty() {
            self.turn(place, "gets its last", |line, now| line.deliver(arrives, now));
        }
        self.lines[place].drop_session();
        self.events.note(format_args!("line {number}: is reset"));
    }

    /// A client that had its winners is started anew.
    fn ask_again(&mut self) {
        let place = self.chance.below(self.agencies.len());
        let agency = &mut self.agencies[place];
        if agency.is_done {
            agency.begin_anew();
            self.events.note(format_args!("agency {} begins anew", agency.number));
        }
    }

    fn leave(&mut self, place: usize) {
        // Often back so soon that what it left is not on disk yet.
        let rest = [0, self.chance.below(300)][self.chance.below(2)];
        let rests_until = self.events.now + rest as u64;
        let line = &mut self.lines[place];
        let agency = &mut self.agencies[line.agency];
        if agency.line == Some(line.number) {
            agency.lost(rests_until);
        }
        (line.is_old, line.is_ended) = (true, true);
    }

    /// Nothing arrives on it for a while, which may be longer than a session waits.
    fn stall_a_line(&mut self) {
        let Some(place) = self.any_line() else { return };
        let line = &mut self.lines[place];
        line.stalled_until = self.events.now + self.chance.below(15_000) as u64;
        self.events.note(format_args!("line {}: stalls", line.number));
    }

    fn any_line(&mut self) -> Option<usize> {
        let lines = self.lines.len();
        (lines > 0).then(|| self.chance.below(lines))
    }

    fn kill(&mut self) {
        if self.machine.running.is_some() {
            self.events.note(format_args!("the server is killed"));
            self.lose_server();
        }
    }

    /// It is asked to stop: what has arrived is finished, every session is told, and it ends with a mark.
    fn stop(&mut self) {
        if self.machine.running.is_none() {
            return;
        }
        self.events.note(format_args!("the server is asked to stop"));
        for place in 0..self.lines.len() {
            if self.lines[place].is_served() {
                self.turn(place, "is told that the server stops", Line::stop);
            }
        }
        self.machine.running().mark();
        for _ in 0..self.chance.below(3) {
            self.commit();
            if self.machine.running.is_none() {
                return;
            }
            self.tell_all_news();
        }
        self.lose_server();
    }

    fn tell_all_news(&mut self) {
        for place in 0..self.lines.len() {
            if self.lines[place].has_news() {
                self.turn(place, "gets news", Line::tell_news);
            }
        }
    }

    /// The process is gone; the network has what it has. Perhaps the power is gone, too.
    pub(crate) fn lose_server(&mut self) {
        self.machine.running = None;
        for line in &mut self.lines {
            line.drop_session();
        }
        if self.machine.power_fails || self.chance.below(2) == 0 {
            self.lose_power();
        } else if self.chance.below(4) == 0 {
            self.machine.disk.evict();
        }
        // Until then a file that is open may still be told of a sync that failed.
        self.machine.disk_may_fail &= self.is_faulty;
    }

    /// What was not synced is there, or not, or in parts.
    fn lose_power(&mut self) {
        let chance = &mut self.chance;
        let all_or_nothing = chance.below(4);
        let files = self.machine.disk.files_after_power_loss(&mut |limit| match all_or_nothing {
            0 => 0,
            1 => 1,
            _ => chance.below(limit),
        });
        self.events.note(format_args!("power is lost"));
        self.machine.disk = MemoryDisk::with_files(&files);
        (self.machine.power_fails, self.machine.disk_may_fail) = (false, false);
    }

    /// A call of the disk fails soon, or all do from one on.
    fn fail_a_call(&mut self, soon: usize) {
        let n = self.chance.below(soon);
        self.machine.disk_may_fail = true;
        self.machine.room_may_lack = true;
        if self.chance.below(3) == 0 {
            self.events.note(format_args!("power fails in {n} calls"));
            self.machine.disk.lose_power_at(n);
            self.machine.power_fails = true;
            return;
        }
        let done = [Done::Nothing, Done::Half, Done::All][self.chance.below(3)];
        let kind = [ErrorKind::Other, ErrorKind::StorageFull][self.chance.below(2)];
        self.events.note(format_args!("a call fails in {n}: {kind:?}, {done:?} of it done"));
        self.machine.disk.fail_call(n, kind, done);
    }

    /// So few bytes more, and no room.
    fn limit_room(&mut self) {
        let kinds = [ErrorKind::StorageFull, ErrorKind::QuotaExceeded, ErrorKind::FileTooLarge];
        let kind = kinds[self.chance.below(kinds.len())];
        let bytes = self.machine.disk.used() + self.chance.below(4000) as u64;
        self.events.note(format_args!("room for {bytes} bytes, more is {kind:?}"));
        self.machine.disk.limit_room(bytes, kind);
        self.machine.room_may_lack = true;
    }

    fn free_room(&mut self) {
        self.events.note(format_args!("room for everything"));
        self.machine.disk.free_room();
    }

    /// Starts the server on what is there. Its disk may fail while it does.
    pub(crate) fn start(&mut self) {
        let may_fail = self.machine.disk_may_fail;
        if !may_fail && self.stored.records > 0 {
            match self.chance.below(8) {
                0 | 1 => self.refuse_damage(),
                2 | 3 => self.refuse_lost_end(),
                _ => {}
            }
        }
        self.machine.room_may_lack = may_fail || self.machine.disk.is_limited();
        if self.stored.records > 0 && self.is_faulty && self.chance.below(3) == 0 {
            self.fail_a_call(60);
        }
        let before = self.machine.read(&self.machine.disk.files());
        let started = self.machine.start();
        match &started {
            Ok(()) => self.events.note(format_args!("the server is started")),
            Err(failure) => self.events.note(format_args!("not started: {failure}")),
        }
        self.look();
        match started {
            Ok(()) => {
                let (found, is_new) = (self.stored.records, before.records == 0);
                let drawn = u64::from(self.stored.draws - before.draws);
                let expected = before.records + u64::from(is_new) + drawn;
                assert_eq!(found, expected, "a start keeps every whole group");
                let sessions_max = self.machine.setup.sessions_per_agency_max;
                let office = &self.machine.running().office;
                self.model.compare_office(&self.stored, office, sessions_max);
            }
            Err(failure) => self.not_started(&failure),
        }
    }

    fn not_started(&mut self, failure: &Failure) {
        let excused = match failure {
            Failure::Disk(_) => self.machine.disk_may_fail,
            Failure::Setup(_) => self.machine.room_may_lack,
            _ => false,
        };
        assert!(excused, "not started without a reason: {failure}");
        self.lose_server();
    }

    /// A byte in a group with others behind it is not what was written: the start says so, and changes nothing.
    fn refuse_damage(&mut self) {
        let mut files = self.machine.disk.files();
        let groups = self.machine.read(&files).groups;
        if groups.len() < 2 {
            return;
        }
        let (name, from, to) = &groups[self.chance.below(groups.len() - 1)];
        let at = from + self.chance.below(to - from);
        let bytes = files.get_mut(name).expect("the group was read from it");
        bytes[at] ^= 1 << self.chance.below(8);
        self.refuse(&files, format_args!("byte {at} of {name} is damaged"));
    }

    /// The ledger ends before a group that was known to be durable: the start says so, and changes nothing.
    fn refuse_lost_end(&mut self) {
        let mut files = self.machine.disk.files();
        let last = last_group::read(&self.machine.disk).expect("it is never torn in both slots");
        // There may never have been room for it.
        let Some(last) = last else { return };
        let groups = self.machine.read(&files).groups;
        let durable = usize::try_from(last.number).unwrap();
        assert!(durable <= groups.len(), "{last:?}, and {} groups are there", groups.len());
        let (name, from, _) = &groups[self.chance.below(durable)];
        // From somewhere in its length and number on: no group is left there.
        let at = from + self.chance.below(12);
        files.retain(|file, _| !file.ends_with(".log") || file <= name);
        let bytes = files.get_mut(name).expect("the group was read from it");
        if self.chance.below(2) == 0 {
            bytes[at..].fill(0);
        } else {
            bytes.truncate(at);
        }
        self.refuse(&files, format_args!("all is lost from byte {at} of {name} on"));
    }

    /// A start on these files, instead of those that are there, refuses them as damaged and leaves them as they are.
    fn refuse(&mut self, files: &Files, what: std::fmt::Arguments<'_>) {
        self.events.note(format_args!("{what}, and mended after the start"));
        let sound = std::mem::replace(&mut self.machine.disk, MemoryDisk::with_files(files));
        let started = self.machine.start();
        assert!(
            matches!(started, Err(Failure::Damaged(_))),
            "it started on damage, or failed otherwise: {started:?}"
        );
        assert_eq!(segments(&self.machine.disk.files()), segments(files), "damage was changed");
        self.machine.disk = sound;
    }
}

fn segments(files: &Files) -> Vec<(&String, &Vec<u8>)> {
    files.iter().filter(|(name, _)| name.ends_with(".log")).collect()
}
