//! A slow validator of batches that can be seen to be right: item by item, with an allocation where it is simpler. Shares
//! no code with the one it judges.

use bolillero_protocol::error::{BetProblem, Malformed};

/// What `Batch::validate` has to say: the number of bets and their agency, or the first problem.
pub(crate) fn reference(body: &[u8], agencies: u32) -> Result<(u32, u32), Malformed> {
    let mut items: Vec<&[u8]> = body.split(|&byte| byte == b'#').collect();
    let unfinished = items.pop().expect("a split has one part at least");
    let mut items = items.into_iter();
    let not_a_number = Malformed::NotANumber("the number of bets");
    let bets = items.next().and_then(count).ok_or(not_a_number)?;
    let mut agency = 0;
    for index in 0..bets {
        let bet = reference_bet(&mut items, index, agencies, agency);
        agency = bet.map_err(|problem| Malformed::Bet { index, problem })?;
    }
    let over = items.next().is_some() || !unfinished.is_empty();
    if over { Err(Malformed::Leftover("the last bet")) } else { Ok((bets, agency)) }
}

fn reference_bet<'a>(
    items: &mut impl Iterator<Item = &'a [u8]>,
    index: u32,
    agencies: u32,
    of_batch: u32,
) -> Result<u32, BetProblem> {
    let mut item = |name| items.next().ok_or(BetProblem::Missing(name));
    let hold = |holds, problem| if holds { Ok(()) } else { Err(problem) };
    hold(item("marker")? == format!("@{index}").as_bytes(), BetProblem::Marker)?;
    let id = item("id")?;
    hold(!is_too_long(id), BetProblem::TooManyDigits("id"))?;
    let agency = value(id).filter(|id| (1..=u128::from(agencies)).contains(id));
    let agency = agency.ok_or(BetProblem::Agency { agencies })?;
    let agency = u32::try_from(agency).expect("no agency is above the last");
    hold(of_batch == 0 || agency == of_batch, BetProblem::OtherAgency)?;
    hold(is_name(item("first name")?), BetProblem::Name("first name"))?;
    hold(is_name(item("last name")?), BetProblem::Name("last name"))?;
    let document = item("document")?;
    let digits = document.iter().all(|byte| b"0123456789".contains(byte));
    hold(digits && (1..=12).contains(&document.len()), BetProblem::Document)?;
    hold(is_date(item("birth date")?), BetProblem::BirthDate)?;
    let number = item("number")?;
    hold(!is_too_long(number), BetProblem::TooManyDigits("number"))?;
    let number = value(number);
    hold(number.is_some_and(|number| number <= 9999), BetProblem::Number)?;
    Ok(agency)
}

fn count(digits: &[u8]) -> Option<u32> {
    if digits.len() > 20 { None } else { value(digits)?.try_into().ok() }
}

fn is_too_long(item: &[u8]) -> bool {
    item.len() > 20 && value(item).is_some()
}

/// What digits stand for, with or without leading zeros; the largest number where it does not fit.
fn value(digits: &[u8]) -> Option<u128> {
    let text = std::str::from_utf8(digits).ok()?;
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().unwrap_or(u128::MAX))
}

fn is_name(item: &[u8]) -> bool {
    let Ok(name) = std::str::from_utf8(item) else { return false };
    (1..=64).contains(&name.chars().count()) && name.chars().all(|c| !c.is_control())
}

fn is_date(item: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(item) else { return false };
    let parts: Vec<&str> = text.split('-').collect();
    let &[year, month, day] = parts.as_slice() else { return false };
    let digits =
        |part: &str, length| if part.len() == length { value(part.as_bytes()) } else { None };
    let (Some(year), Some(month), Some(day)) = (digits(year, 4), digits(month, 2), digits(day, 2))
    else {
        return false;
    };
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return false,
    };
    (1..=days).contains(&day)
}
