//! Figures as they are read: three digits that count.

/// `0.0123`, `1.23`, `12.3`, `1234`.
pub(crate) fn significant(figure: f64) -> String {
    // What would be rounded up to a digit more has it already.
    let decimals = match figure.abs() {
        0.0 | 99.95.. => 0,
        9.995.. => 1,
        0.9995.. => 2,
        0.09995.. => 3,
        _ => 4,
    };
    format!("{figure:.decimals$}")
}

/// `1.23 M`, `12.3 k`, `123`.
pub(crate) fn with_unit(figure: f64) -> String {
    // What would be rounded up to 1000 is of the next unit already.
    match figure.abs() {
        999_500.0.. => format!("{} M", significant(figure / 1e6)),
        999.5.. => format!("{} k", significant(figure / 1e3)),
        _ => significant(figure),
    }
}

/// Microseconds as milliseconds.
pub(crate) fn milliseconds(microseconds: f64) -> String {
    significant(microseconds / 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_count() {
        for (figure, text) in
            [(0.0, "0"), (0.0123, "0.0123"), (1.234, "1.23"), (45.67, "45.7"), (1234.0, "1234")]
        {
            assert_eq!(significant(figure), text);
        }
        for (figure, text) in [(12.0, "12.0"), (27_123.0, "27.1 k"), (999_900.0, "1.00 M")] {
            assert_eq!(with_unit(figure), text);
        }
        assert_eq!(milliseconds(512.0), "0.512");
    }
}
