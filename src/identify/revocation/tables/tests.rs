//! The tables, whatever the order in which entries arrive.

use super::super::entry::Fold;
use super::*;
use crate::base::scatter::scatter;

const NOW: Now = Now::at(1_790_000_000);
const MINUTE: Duration = Duration::from_secs(60);

fn mark(number: u64) -> Digest {
    Digest::new(&number.to_be_bytes())
}

fn apply(tables: &Tables, what: What, number: u64) {
    let now = Now::at(1000).plus(Duration::from_millis(number));
    tables.apply(Entry { what, mark: mark(number), at_ms: now.unix_ms() }, now);
}

#[test]
fn no_number_of_sign_ins_and_sign_outs_pushes_out_what_the_operator_revoked() {
    let tables = Tables::with_room_for(100);
    (0..50).for_each(|number| apply(&tables, What::SessionRevoked, number));
    (0..50).for_each(|number| apply(&tables, What::UserRevoked, number));
    for number in 1_000..20_000 {
        apply(&tables, What::SignedIn, number);
        apply(&tables, What::SessionSignedOut, number);
    }
    for table in [&tables.revoked, &tables.users] {
        table.run_pending_tasks();
        assert_eq!((0..50).filter(|&number| table.contains_key(&mark(number))).count(), 50);
    }
    tables.signed_out.run_pending_tasks();
    assert!(tables.signed_out.entry_count() <= 100, "and their own table is bounded");
}

fn say(tables: &Tables, what: What, number: u64) {
    tables.say(Entry { what, mark: mark(number), at_ms: NOW.unix_ms() }, NOW);
}

#[test]
fn a_readmission_lifts_a_sign_out_and_no_revocation() {
    let tables = Tables::default();
    for what in [What::SessionRevoked, What::SessionSignedOut, What::SessionReadmitted] {
        say(&tables, what, 1);
    }
    assert!(tables.ended_by(&mark(1)) == Some(RevokedBy::Operator));
    for what in [What::SessionSignedOut, What::SessionReadmitted] {
        say(&tables, what, 2);
    }
    assert!(tables.ended_by(&mark(2)).is_none());
}

/// Entries about one user, with the state after the latest of them.
#[test]
fn the_latest_word_counts_in_whatever_order_words_arrive() {
    use What::{SessionReadmitted, SessionSignedOut, UserPardoned, UserRevoked};
    for (revoke, lift) in [(SessionSignedOut, SessionReadmitted), (UserRevoked, UserPardoned)] {
        for (words, is_over) in [
            (&[(revoke, 1)][..], true),
            (&[(lift, 1)], false),
            (&[(revoke, 1), (lift, 2)], false),
            (&[(revoke, 1), (lift, 1)], true),
            (&[(revoke, 1), (lift, 2), (revoke, 3)], true),
            (&[(revoke, 1), (lift, 2), (revoke, 2)], true),
            (&[(revoke, 1), (lift, 2), (revoke, 3), (lift, 4)], false),
        ] {
            for order in orders(words) {
                let tables = Tables::default();
                // Twice, as after a new connection.
                for &(what, at_ms) in order.iter().chain(&order) {
                    tables.apply(Entry { what, mark: mark(1), at_ms }, Now::at(9));
                }
                assert_eq!(is_in_force(&tables, revoke, 1), is_over, "{order:?}");
                let mut fold = Fold::default();
                for &(what, at_ms) in &order {
                    fold.add(Entry { what, mark: mark(1), at_ms });
                }
                assert_eq!(fold.left(9, 9).len(), usize::from(is_over), "{order:?}, in the file");
            }
        }
    }
}

fn orders<T: Copy>(items: &[T]) -> Vec<Vec<T>> {
    if items.is_empty() {
        return vec![Vec::new()];
    }
    let begin_with = |first: usize| {
        let mut rest = items.to_vec();
        let item = rest.remove(first);
        orders(&rest).into_iter().map(move |order| [&[item], order.as_slice()].concat())
    };
    (0..items.len()).flat_map(begin_with).collect()
}

fn is_in_force(tables: &Tables, what: What, number: u64) -> bool {
    tables.times(&Entry { what, mark: mark(number), at_ms: 0 }).0.is_some()
}

#[test]
fn what_happens_here_is_later_than_all_that_is_known_here() {
    use What::{SessionReadmitted, SessionSignedOut, UserPardoned, UserRevoked};
    const AHEAD: u64 = 1_000_000;
    for (revoke, lift) in [(SessionSignedOut, SessionReadmitted), (UserRevoked, UserPardoned)] {
        let tables = Tables::default();
        let elsewhere = |what, at_ms| tables.apply(Entry { what, mark: mark(1), at_ms }, NOW);
        let here = || NOW.unix_ms();
        elsewhere(revoke, here() + AHEAD);
        let say = |what| tables.say(Entry { what, mark: mark(1), at_ms: here() }, NOW);
        let lifted = say(lift);
        assert!(!is_in_force(&tables, revoke, 1), "a clock elsewhere is ahead");
        assert!(tables.is_latest(&lifted));
        elsewhere(lift, here() + 2 * AHEAD);
        let revoked = say(revoke);
        assert!(is_in_force(&tables, revoke, 1), "a clock elsewhere is further ahead");
        elsewhere(lift, here() + 2 * AHEAD);
        assert!(is_in_force(&tables, revoke, 1), "that lift again");
        assert!(tables.is_latest(&revoked) && !tables.is_latest(&lifted));
    }
}

#[test]
fn a_lift_leaves_in_force_what_its_process_did_not_know() {
    let (here, elsewhere) = (Tables::default(), Tables::default());
    let entry = |what, at: Now| Entry { what, mark: mark(1), at_ms: at.unix_ms() };
    let known = here.say(entry(What::UserRevoked, NOW), NOW);
    elsewhere.apply(known, NOW);
    // Elsewhere the operator revokes again, by a clock that is half a minute behind.
    let again = elsewhere.say(entry(What::UserRevoked, NOW.plus(MINUTE / 2)), NOW);
    let pardon = here.say(entry(What::UserPardoned, NOW.plus(MINUTE)), NOW);
    for (tables, news) in [(&here, again), (&elsewhere, pardon)] {
        tables.apply(news, NOW);
        assert!(is_in_force(tables, What::UserRevoked, 1));
    }
    let pardon = here.say(entry(What::UserPardoned, NOW.plus(MINUTE)), NOW);
    elsewhere.apply(pardon, NOW);
    assert!(!is_in_force(&elsewhere, What::UserRevoked, 1), "now it was known");
}

/// A replica of the simulation.
struct Replica {
    tables: Tables,
    /// Every entry it has said.
    said: Vec<Entry>,
    /// Entries of the stream that it has read.
    read: usize,
    /// Milliseconds its clock is ahead of the slowest.
    ahead: u64,
}

impl Replica {
    fn say(&mut self, what: What, number: u64, now: Now, stream: &mut Vec<Entry>) {
        let at_ms = now.unix_ms() + self.ahead;
        let entry = self.tables.say(Entry { what, mark: mark(number), at_ms }, now);
        self.said.push(entry);
        stream.push(entry);
    }

    fn read(&mut self, stream: &[Entry], now: Now, mut after_each: impl FnMut(&Tables)) {
        for entry in &stream[self.read..] {
            self.tables.apply(*entry, now);
            after_each(&self.tables);
        }
        self.read = stream.len();
    }
}

/// Replicas that revoke, take back, are cut off and say everything again. At the end, one of
/// them revokes for good, everything is said again once more, and all must agree at once.
#[test]
fn no_repetition_lifts_the_last_revocation_anywhere() {
    use What::{SessionReadmitted, SessionSignedOut, UserPardoned, UserRevoked};
    const PAIRS: [(What, What); 2] =
        [(SessionSignedOut, SessionReadmitted), (UserRevoked, UserPardoned)];
    // Where clocks differ, the last one has heard of everything.
    for (seed, clocks_apart) in (0..40).flat_map(|seed| [(seed, 0), (seed, CLOCKS_APART_MS)]) {
        let mut count = seed * 1_000_000;
        let mut below = |most: u64| {
            count += 1;
            scatter(count) % most
        };
        let replica = |tables, ahead| Replica { tables, said: Vec::new(), read: 0, ahead };
        let start = |_| replica(Tables::default(), below(clocks_apart + 1));
        let mut replicas: Vec<_> = (0..4).map(start).collect();
        let (mut stream, mut now) = (Vec::new(), NOW);
        for _ in 0..300 {
            now = now.plus(Duration::from_millis(1 + below(5000)));
            let one = &mut replicas[usize::try_from(below(4)).unwrap()];
            let (revoke, lift) = PAIRS[usize::try_from(below(2)).unwrap()];
            match below(8) {
                0 | 1 => one.say(revoke, below(3), now, &mut stream),
                2 | 3 => one.say(lift, below(3), now, &mut stream),
                4 => stream.extend(one.said.iter().copied()),
                _ => one.read(&stream, now, |_| {}),
            }
        }
        now = now.plus(Duration::from_secs(1));
        let last = &mut replicas[usize::try_from(below(4)).unwrap()];
        if clocks_apart > 0 {
            last.read(&stream, now, |_| {});
        }
        for (revoke, _) in PAIRS {
            (0..3).for_each(|number| last.say(revoke, number, now, &mut stream));
        }
        replicas.iter_mut().for_each(|one| one.read(&stream, now, |_| {}));
        for one in &replicas {
            stream.extend(one.said.iter().copied());
        }
        for one in &mut replicas {
            one.read(&stream, now, |tables| {
                for (revoke, _) in PAIRS {
                    let are_over = (0..3).all(|number| is_in_force(tables, revoke, number));
                    assert!(are_over, "{revoke:?} of seed {seed}");
                }
            });
        }
        let all = |one: &Replica| {
            let mut lines: Vec<_> = one.tables.entries().iter().map(Entry::line).collect();
            lines.sort();
            lines
        };
        assert!(replicas.windows(2).all(|two| all(&two[0]) == all(&two[1])), "seed {seed}");
    }
}
