//! Who takes part where one thing is measured beside one reference, and what follows from all runs.
//! Runs nothing.

use super::cost::TlsCost;
use super::figure::{Figure, Sample, series};
use super::marks::Marks;
use super::rows::{Channel, Driver, Reference};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// The one of what is measured.
    Reference(Channel),
    Ours(Driver, Channel),
}

/// Without TLS.
pub(crate) const PLAIN: [Side; 3] = [
    Side::Reference(Channel::Plain),
    Side::Ours(Driver::Pool, Channel::Plain),
    Side::Ours(Driver::Events, Channel::Plain),
];
/// Only with TLS.
pub(crate) const SECURED: [Side; 3] = [
    Side::Reference(Channel::Tls),
    Side::Ours(Driver::Pool, Channel::Tls),
    Side::Ours(Driver::Events, Channel::Tls),
];
/// Each without and with TLS, side by side: their ratios are of one time.
pub(crate) const BOTH: [Side; 6] =
    [PLAIN[0], SECURED[0], PLAIN[1], SECURED[1], PLAIN[2], SECURED[2]];

impl Side {
    pub(crate) fn name(self, reference: Reference) -> String {
        match self {
            Self::Reference(channel) => channel.add_to(reference.name()),
            Self::Ours(driver, channel) => channel.add_to(&format!("ours {}", driver.name())),
        }
    }

    pub(crate) fn channel(self) -> Channel {
        let (Self::Reference(channel) | Self::Ours(_, channel)) = self;
        channel
    }

    pub(crate) fn is_ours(self) -> bool {
        matches!(self, Self::Ours(..))
    }

    fn over(self, channel: Channel) -> Self {
        match self {
            Self::Reference(_) => Self::Reference(channel),
            Self::Ours(driver, _) => Self::Ours(driver, channel),
        }
    }
}

/// What is measured, the reference, and the unit of what is done in a second.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    pub(crate) work: String,
    pub(crate) reference: Reference,
    pub(crate) unit: &'static str,
}

impl Subject {
    /// Of each side's runs; ratios are to the reference over the same channel. Ours has marks.
    pub(crate) fn figures(
        &self,
        sides: &[Side],
        samples: &[Vec<Sample>],
        marks: impl Fn(Channel) -> Option<Marks>,
    ) -> Vec<Figure> {
        let figures = sides.iter().zip(samples).map(|(&side, of_side)| {
            let reference = place(sides, Side::Reference(side.channel()));
            let reference = &samples[reference.expect("what is measured has its reference")];
            let names = (self.work.clone(), side.name(self.reference), self.unit);
            let marks = if side.is_ours() { marks(side.channel()) } else { None };
            Figure::new(names, of_side, reference, marks)
        });
        figures.collect()
    }

    /// What TLS costs those of ours that take part with and without it.
    pub(crate) fn costs(&self, sides: &[Side], samples: &[Vec<Sample>]) -> Vec<TlsCost> {
        let both = |side: Side| {
            let of = |channel| Some(series(&samples[place(sides, side.over(channel))?]));
            of(Channel::Plain).zip(of(Channel::Tls))
        };
        let ours = sides.iter().filter(|side| side.is_ours() && side.channel() == Channel::Tls);
        let costs = ours.filter_map(|&side| {
            let (plain, tls) = both(side)?;
            let (to_plain, to_tls) = both(Side::Reference(Channel::Plain))?;
            let name = side.name(self.reference);
            Some(TlsCost::new(name, [&plain, &tls], [&to_plain, &to_tls]))
        });
        costs.collect()
    }
}

fn place(sides: &[Side], side: Side) -> Option<usize> {
    sides.iter().position(|other| *other == side)
}

#[cfg(test)]
mod tests {
    use super::super::figure::tests::samples;
    use super::super::marks::FILES_RAW;
    use super::*;

    fn subject() -> Subject {
        Subject { work: "slices".to_owned(), reference: Reference::Stream, unit: "B/s" }
    }

    #[test]
    fn tls_is_compared_with_the_same_server_without_it() {
        let speeds = [100.0, 50.0, 80.0, 40.0, 60.0, 15.0];
        let all = speeds.map(|speed| samples([(speed, 1.0); 3]));
        let costs = subject().costs(&BOTH, &all).into_iter();
        let kept: Vec<_> = costs.map(|cost| (cost.server, cost.kept.median)).collect();
        let expect = [("ours pool TLS", 1.0), ("ours events TLS", 0.5)];
        assert_eq!(kept, expect.map(|(name, kept)| (name.to_owned(), kept)));
        assert!(subject().costs(&PLAIN, &all[..3]).is_empty());
    }

    #[test]
    fn ratios_are_to_the_reference_over_the_same_channel_and_only_ours_has_marks() {
        let speeds = [100.0, 50.0, 80.0, 40.0, 60.0, 15.0];
        let all = speeds.map(|speed| samples([(speed, 1.0); 3]));
        let marks = |channel| (channel == Channel::Plain).then_some(FILES_RAW);
        let figures = subject().figures(&BOTH, &all, marks);
        let told: Vec<_> = figures.iter().map(|one| (one.ratio.median, one.marks)).collect();
        let (none, some) = (None, Some(FILES_RAW));
        let expect = [(1.0, none), (1.0, none), (0.8, some), (0.8, none), (0.6, some), (0.3, none)];
        assert_eq!(told, expect);
        assert_eq!(
            (figures[1].server.as_str(), figures[0].work.as_str()),
            ("stream TLS", "slices")
        );
    }
}
