//! From figures to places: linear from zero, or by powers of ten, with round figures for its ticks.

/// Figures `from..=to` at places `begin..=end`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Axis {
    from: f64,
    to: f64,
    begin: f64,
    end: f64,
    logarithmic: bool,
}

impl Axis {
    /// From zero to the highest of the figures.
    pub(super) fn linear(figures: impl IntoIterator<Item = f64>, begin: f64, end: f64) -> Self {
        let to = figures.into_iter().fold(f64::MIN_POSITIVE, f64::max);
        Self { from: 0.0, to, begin, end, logarithmic: false }
    }

    /// From the lowest to the highest of the figures, widened to 1, 2 or 5 times a power of ten.
    pub(super) fn logarithmic(
        figures: impl IntoIterator<Item = f64>,
        begin: f64,
        end: f64,
    ) -> Self {
        let positive = figures.into_iter().filter(|figure| *figure > 0.0);
        let (low, high) = positive
            .fold((f64::MAX, 0_f64), |(low, high), figure| (low.min(figure), high.max(figure)));
        let (low, high) = if low <= high { (low, high) } else { (1.0, 10.0) };
        let from = steps(low / 10.0, high).rfind(|step| *step <= low).unwrap_or(low);
        let to = steps(low, high * 10.0).find(|step| *step > from && *step >= high).unwrap_or(high);
        Self { from, to, begin, end, logarithmic: true }
    }

    pub(super) fn place(&self, figure: f64) -> f64 {
        let Self { from, to, begin, end, logarithmic } = *self;
        let share = if logarithmic {
            (figure.max(from) / from).ln() / (to / from).ln()
        } else {
            (figure - from) / (to - from)
        };
        begin + share * (end - begin)
    }

    /// Round figures to write beside it, a few.
    pub(super) fn ticks(&self) -> Vec<f64> {
        if self.logarithmic {
            let all: Vec<f64> = steps(self.from, self.to).collect();
            let tens = |figure: &f64| (figure.log10() - figure.log10().round()).abs() < 1e-9;
            return if all.len() <= 5 { all } else { all.into_iter().filter(tens).collect() };
        }
        let step = steps(self.to / 10.0, self.to).find(|step| self.to / step <= 5.0);
        let step = step.unwrap_or(self.to);
        let ticks = (0_u32..=5).map(|index| f64::from(index) * step);
        ticks.take_while(|tick| *tick <= self.to).collect()
    }
}

/// 1, 2 and 5 times every power of ten, within the bounds.
fn steps(low: f64, high: f64) -> impl DoubleEndedIterator<Item = f64> {
    let steps = (-9..=12).flat_map(|power| [1.0, 2.0, 5.0].map(|unit| unit * 10_f64.powi(power)));
    // Powers of ten are not exact.
    steps.filter(move |step| (low * (1.0 - 1e-9)..=high * (1.0 + 1e-9)).contains(step))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_linear_axis_starts_at_zero() {
        let axis = Axis::linear([1.0, 4.0], 100.0, 200.0);
        assert_eq!([0.0, 1.0, 4.0].map(|figure| axis.place(figure)), [100.0, 125.0, 200.0]);
        assert_eq!(axis.ticks(), [0.0, 1.0, 2.0, 3.0, 4.0]);
    }

    #[test]
    fn a_logarithmic_axis_is_widened_to_round_figures() {
        let axis = Axis::logarithmic([0.3, 4.0], 0.0, 1.0);
        let ticks: Vec<String> = axis.ticks().iter().map(|tick| format!("{tick:.1}")).collect();
        assert_eq!(ticks, ["0.2", "0.5", "1.0", "2.0", "5.0"]);
        assert!((axis.place(1.0) - 0.5).abs() < 1e-9);
        let axis = Axis::logarithmic([1.0], 0.0, 1.0);
        assert!(axis.place(1.0).is_finite());
        assert!(Axis::logarithmic([], 0.0, 1.0).place(1.0).is_finite());
    }
}
