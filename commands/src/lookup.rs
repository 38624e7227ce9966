//! The merged table and the way into it by name.

use crate::added::ADDED;
use crate::command::Command;
use crate::table::GENERATED;

pub(crate) const COUNT: usize = GENERATED.len() + ADDED.len();

/// Both sources in one, sorted by name, so that a container's subcommands stand right behind it
/// (a space sorts before every other character of a name).
static COMMANDS: [Command; COUNT] = merge();

/// Slots of the index; a power of two. Sparse, so that nearly every search ends at its first slot.
const SLOTS: usize = 2048;
const FREE: u16 = u16::MAX;

/// Open addressing with linear probing: positions in [`COMMANDS`], subcommands left out.
static INDEX: [u16; SLOTS] = index();

/// The entry of a command by its name as sent, in any case.
pub fn lookup(name: &[u8]) -> Option<&'static Command> {
    let mut slot = hash(name);
    loop {
        let position = INDEX[slot];
        if position == FREE {
            return None;
        }
        let command = &COMMANDS[usize::from(position)];
        if command.name.as_bytes().eq_ignore_ascii_case(name) {
            return Some(command);
        }
        slot = (slot + 1) % SLOTS;
    }
}

/// Every command and subcommand, sorted by name.
pub fn all() -> &'static [Command] {
    &COMMANDS
}

/// The subcommands of a container.
pub(crate) fn subcommands(container: &Command) -> &'static [Command] {
    let first = usize::from(container.subcommands_at);
    COMMANDS.get(first..first + usize::from(container.subcommands)).unwrap_or_default()
}

/// Where a name's search begins: its first and last eight bytes and its length, spread by a
/// multiplication. Clearing bit 5 makes both cases of a letter equal; what else it makes equal is
/// told apart by the comparison. The rotation is the one that collides least.
const fn hash(name: &[u8]) -> usize {
    const UPPER: u64 = 0xdfdf_dfdf_dfdf_dfdf;
    // 2^64 divided by the golden ratio (Knuth's multiplicative hashing).
    const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
    let (head, tail) = ends(name);
    let mixed = (head & UPPER) ^ (tail & UPPER).rotate_left(45) ^ name.len() as u64;
    (mixed.wrapping_mul(SPREAD) >> (u64::BITS - SLOTS.trailing_zeros())) as usize
}

/// The first and the last bytes of a name, overlapping in a short one.
const fn ends(name: &[u8]) -> (u64, u64) {
    if let (Some(head), Some(tail)) = (name.first_chunk::<8>(), name.last_chunk::<8>()) {
        (u64::from_le_bytes(*head), u64::from_le_bytes(*tail))
    } else if let (Some(head), Some(tail)) = (name.first_chunk::<4>(), name.last_chunk::<4>()) {
        (u32::from_le_bytes(*head) as u64, u32::from_le_bytes(*tail) as u64)
    } else if let (Some(first), Some(last)) = (name.first(), name.last()) {
        (*first as u64, (*last as u64) << 8 | name[name.len() / 2] as u64)
    } else {
        (0, 0)
    }
}

/// Merges the two sorted sources. A name in both does not compile: the generated table has caught up
/// with `added.rs`, whose row can go.
const fn merge() -> [Command; COUNT] {
    let mut merged = [GENERATED[0]; COUNT];
    let (mut generated, mut added, mut length) = (0, 0, 0);
    while length < COUNT {
        let from_added = generated == GENERATED.len()
            || added < ADDED.len() && before(ADDED[added].name, GENERATED[generated].name);
        merged[length] = if from_added {
            added += 1;
            ADDED[added - 1]
        } else {
            generated += 1;
            GENERATED[generated - 1]
        };
        assert!(
            length == 0 || before(merged[length - 1].name, merged[length].name),
            "a source is not sorted, or `added.rs` has a command that `table.rs` has too"
        );
        merged[length].position = length as u16;
        length += 1;
    }
    note_subcommands(&mut merged);
    merged
}

/// Tells each container where its subcommands are.
const fn note_subcommands(commands: &mut [Command; COUNT]) {
    let mut container = 0;
    let mut position = 0;
    while position < COUNT {
        if is_subcommand(commands[position].name) {
            commands[container].subcommands += 1;
        } else {
            container = position;
            commands[container].subcommands_at = position as u16 + 1;
        }
        position += 1;
    }
}

const fn index() -> [u16; SLOTS] {
    let mut slots = [FREE; SLOTS];
    let mut position = 0;
    while position < COUNT {
        let name = COMMANDS[position].name;
        if !is_subcommand(name) {
            let mut slot = hash(name.as_bytes());
            while slots[slot] != FREE {
                slot = (slot + 1) % SLOTS;
            }
            slots[slot] = position as u16;
        }
        position += 1;
    }
    slots
}

const fn is_subcommand(name: &str) -> bool {
    let name = name.as_bytes();
    let mut position = 0;
    while position < name.len() {
        if name[position] == b' ' {
            return true;
        }
        position += 1;
    }
    false
}

/// Does `a` sort before `b`?
const fn before(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut position = 0;
    while position < a.len() && position < b.len() {
        if a[position] != b[position] {
            return a[position] < b[position];
        }
        position += 1;
    }
    a.len() < b.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_found_in_any_case() {
        for command in all().iter().filter(|command| !is_subcommand(command.name)) {
            for name in [command.name.to_owned(), command.name.to_lowercase()] {
                assert_eq!(lookup(name.as_bytes()).unwrap().name, command.name);
            }
        }
        assert_eq!(lookup(b"gEoRaDiUsByMeMbEr_rO").unwrap().name, "GEORADIUSBYMEMBER_RO");
    }

    #[test]
    fn what_is_no_name_is_not_found() {
        for name in ["", "G", "GE", "GETS", "GET ", "NOSUCH", "CONFIG GET", "config|get", "\0ET"] {
            assert!(lookup(name.as_bytes()).is_none(), "{name:?}");
        }
        // Clearing bit 5 makes these equal to GET and EVAL_RO.
        assert!(lookup(b"GET".map(|byte| byte | 0x20).as_slice()).is_some());
        assert!(lookup(b"EVAL\x7fRO").is_none());
        assert!(lookup(&[b'X'; 100_000]).is_none());
    }

    #[test]
    fn every_subcommand_belongs_to_its_container() {
        let containers: usize = all().iter().map(|command| usize::from(command.subcommands)).sum();
        let subcommands = all().iter().filter(|command| is_subcommand(command.name));
        assert_eq!(subcommands.clone().count(), containers);
        for subcommand in subcommands {
            let (container, name) = subcommand.name.split_once(' ').unwrap();
            let found = lookup(container.as_bytes()).unwrap().subcommand(name.as_bytes());
            assert_eq!(found.unwrap().name, subcommand.name);
        }
    }

    #[test]
    fn a_search_is_short() {
        let steps = |command: &Command| {
            let mut slot = hash(command.name.as_bytes());
            let mut steps = 1;
            while all()[usize::from(INDEX[slot])].name != command.name {
                slot = (slot + 1) % SLOTS;
                steps += 1;
            }
            steps
        };
        let commands = all().iter().filter(|command| !is_subcommand(command.name));
        let steps: Vec<u32> = commands.map(steps).collect();
        let direct = steps.iter().filter(|&&steps| steps == 1).count();
        assert!(*steps.iter().max().unwrap() <= 3, "{:?}", steps.iter().max());
        assert!(direct * 10 >= steps.len() * 9, "{direct} of {}", steps.len());
    }
}
