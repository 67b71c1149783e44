//! What clients asked and were told, and whether one order of it all explains that: the search of
//! Wing and Gong with the memory of Lowe, for registers.

use std::collections::{BTreeMap, HashSet};

/// What a client asked of a register, and what it was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    Read { saw: u64 },
    Write { value: u64, told: Told },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    Done,
    /// It surely had no effect.
    Refused,
    /// Nobody knows.
    Nothing,
}

/// One operation with the number of the event when it began, and when it ended.
#[derive(Debug, Clone, Copy)]
pub struct Event {
    pub key: u64,
    pub began: u64,
    pub ended: u64,
    pub operation: Operation,
}

/// Why no order of the events of one register explains them; none: one does. All start at 0, and
/// every value is written once.
pub fn violation(events: &[Event]) -> Option<String> {
    let mut by_key: BTreeMap<u64, Vec<Event>> = BTreeMap::new();
    for event in events {
        by_key.entry(event.key).or_default().push(*event);
    }
    by_key.into_iter().find_map(|(key, events)| {
        let steps = match steps_of(&events) {
            Ok(steps) => steps,
            Err(why) => return Some(format!("register {key}: {why}")),
        };
        (!explains(&steps)).then(|| {
            format!(
                "register {key}: no order of its {} steps explains them",
                steps.len()
            )
        })
    })
}

/// Something that takes effect at one moment between `began` and `ended`.
#[derive(Debug, Clone, Copy)]
struct Step {
    began: u64,
    ended: u64,
    write: bool,
    value: u64,
}

/// A write whose fate is unknown took effect before the first read of it ended; if nobody read it,
/// an order without it explains as much as one with it.
fn steps_of(events: &[Event]) -> Result<Vec<Step>, String> {
    let first_read = |wanted: u64| {
        let reads = events
            .iter()
            .filter(|event| matches!(event.operation, Operation::Read { saw } if saw == wanted));
        reads.map(|event| event.ended).min()
    };
    let mut steps = Vec::new();
    for event in events {
        let (write, value, ended) = match event.operation {
            Operation::Read { saw } => (false, saw, event.ended),
            Operation::Write { value, told } => match (told, first_read(value)) {
                (Told::Done, _) => (true, value, event.ended),
                (Told::Refused, Some(_)) => {
                    return Err(format!("a refused write of {value} was read"));
                }
                (Told::Nothing, Some(read)) => (true, value, read),
                (Told::Refused | Told::Nothing, None) => continue,
            },
        };
        steps.push(Step {
            began: event.began,
            ended,
            write,
            value,
        });
    }
    steps.sort_by_key(|step| step.began);
    Ok(steps)
}

/// Depth first over all orders that respect who ended before whom began.
fn explains(steps: &[Step]) -> bool {
    let mut done = vec![false; steps.len()];
    let mut seen: HashSet<(usize, Vec<bool>, u64)> = HashSet::new();
    let mut value = 0;
    let mut left = steps.len();
    let mut first = 0;
    // What was done, the value before, and what else could have been done then.
    let mut path: Vec<(usize, u64, Vec<usize>)> = Vec::new();
    let mut choices = next(steps, &done, first, value);
    while left > 0 {
        if let Some(step) = choices.pop() {
            done[step] = true;
            let after = if steps[step].write {
                steps[step].value
            } else {
                value
            };
            let mut reached = first;
            while reached < steps.len() && done[reached] {
                reached += 1;
            }
            let end = done
                .iter()
                .rposition(|&done| done)
                .map_or(0, |last| last + 1);
            let beyond = done[reached.min(end)..end].to_vec();
            if seen.insert((reached, beyond, after)) {
                path.push((step, value, std::mem::take(&mut choices)));
                (value, first) = (after, reached);
                left -= 1;
                choices = next(steps, &done, first, value);
            } else {
                done[step] = false;
            }
        } else {
            let Some((step, before, others)) = path.pop() else {
                return false;
            };
            done[step] = false;
            left += 1;
            first = first.min(step);
            (value, choices) = (before, others);
        }
    }
    true
}

/// What may come next: it began before everything that is not done yet ended, and a read sees
/// what is there.
fn next(steps: &[Step], done: &[bool], first: usize, value: u64) -> Vec<usize> {
    let mut earliest_end = u64::MAX;
    let mut found = Vec::new();
    for (step, position) in steps[first..].iter().zip(first..) {
        if step.began > earliest_end {
            break;
        }
        if !done[position] {
            earliest_end = earliest_end.min(step.ended);
            found.push(position);
        }
    }
    found.retain(|&position| {
        let step = &steps[position];
        step.began <= earliest_end && (step.write || step.value == value)
    });
    // The last is tried first.
    found.sort_by_key(|&position| std::cmp::Reverse(steps[position].ended));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(began: u64, ended: u64, value: u64, told: Told) -> Event {
        Event {
            key: 0,
            began,
            ended,
            operation: Operation::Write { value, told },
        }
    }

    fn read(began: u64, ended: u64, saw: u64) -> Event {
        Event {
            key: 0,
            began,
            ended,
            operation: Operation::Read { saw },
        }
    }

    #[test]
    fn an_order_is_found_where_there_is_one() {
        let unknown = write(1, 2, 7, Told::Nothing);
        let done = write(3, 10, 8, Told::Done);
        for reads in [
            vec![read(4, 5, 0), read(6, 7, 8)],
            vec![read(4, 5, 7), read(6, 7, 8)],
            vec![read(4, 5, 8), read(6, 7, 7), read(11, 12, 7)],
            vec![read(11, 12, 8), read(20, 21, 7)],
        ] {
            let mut events = vec![unknown, done];
            events.extend(reads);
            assert_eq!(violation(&events), None, "{events:?}");
        }
    }

    #[test]
    fn what_no_order_explains_is_found() {
        let first = write(1, 2, 1, Told::Done);
        let second = write(3, 4, 2, Told::Done);
        for events in [
            // Forgotten, stale, carried out twice, seen to come and go, refused and yet there.
            vec![first, read(5, 6, 0)],
            vec![first, second, read(5, 6, 1)],
            vec![
                first,
                write(3, 4, 9, Told::Nothing),
                read(5, 6, 9),
                read(7, 8, 1),
            ],
            vec![
                first,
                write(3, 9, 2, Told::Done),
                read(4, 5, 2),
                read(6, 7, 1),
            ],
            vec![write(1, 2, 1, Told::Refused), read(5, 6, 1)],
            vec![read(1, 2, 5), write(3, 4, 5, Told::Done)],
        ] {
            assert!(violation(&events).is_some(), "{events:?}");
        }
    }
}
