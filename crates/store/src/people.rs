//! Who is who, for those who read: whom contacts were joined with, and aliases not yet in redb.
//!
//! The writer has its own view, [`crate::contacts`], which it needs without a lock.

use std::collections::{BTreeSet, HashMap};

use crate::contacts::ContactsFold;
use crate::format::record_v1::Lesson;
use crate::keyed::{self, Hash};

/// What durable records and meetings taught.
#[derive(Debug, Default)]
pub(crate) struct People {
    /// Contacts to the older ones that they were joined with: all of them.
    joined: HashMap<u128, u128>,
    /// The same the other way round: the older one, and who was joined with it.
    families: BTreeSet<(u128, u128)>,
    /// Aliases that redb doesn't have yet.
    learned: keyed::HashMap<u128>,
}

impl People {
    /// Notes that `from` is the same person as `to`.
    pub(crate) fn join(&mut self, from: u128, to: u128) {
        if let Some(before) = self.joined.insert(from, to) {
            self.families.remove(&(before, from));
        }
        self.families.insert((to, from));
    }

    /// Takes in what was taught.
    pub(crate) fn learn(&mut self, lesson: &Lesson) {
        self.learned.extend(lesson.learned.iter().map(|hash| (*hash, lesson.contact)));
        for from in &lesson.joined {
            self.join(*from, lesson.contact);
        }
    }

    /// The contact that an alias names, if redb doesn't have to be asked.
    pub(crate) fn find(&self, alias: &Hash) -> Option<u128> {
        self.learned.get(alias).copied()
    }

    /// Whether contacts were ever joined.
    pub(crate) fn have_joined(&self) -> bool {
        !self.joined.is_empty()
    }

    /// The contact that stands for `contact` since they were joined.
    pub(crate) fn root(&self, contact: u128) -> u128 {
        let mut root = contact;
        // As many steps as there are joins at most, should damage ever have made a ring of them.
        for _ in 0..self.joined.len() {
            match self.joined.get(&root) {
                Some(older) => root = *older,
                None => break,
            }
        }
        root
    }

    /// All that are one person: who stands for them first, then the others, the oldest first.
    pub(crate) fn family(&self, contact: u128) -> Vec<u128> {
        let root = self.root(contact);
        let mut others = BTreeSet::new();
        let mut left = vec![root];
        while let Some(older) = left.pop() {
            for (_, younger) in self.families.range((older, 0)..=(older, u128::MAX)) {
                if *younger != root && others.insert(*younger) {
                    left.push(*younger);
                }
            }
        }
        std::iter::once(root).chain(others).collect()
    }

    /// A fold is in redb.
    pub(crate) fn folded(&mut self, fold: &ContactsFold) {
        for (hash, contact) in &fold.learned {
            if self.learned.get(hash) == Some(contact) {
                self.learned.remove(hash);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_found_from_each_of_its_members() {
        let mut people = People::default();
        for (from, to) in [(5, 3), (3, 1), (4, 1), (9, 8), (5, 3)] {
            people.join(from, to);
        }
        for member in [1, 3, 4, 5] {
            assert_eq!(people.family(member), [1, 3, 4, 5]);
        }
        assert_eq!(people.family(9), [8, 9]);
        assert_eq!(people.family(7), [7]);
        people.join(4, 8);
        assert_eq!((people.family(4), people.family(1)), (vec![8, 4, 9], vec![1, 3, 5]));
    }

    #[test]
    fn a_ring_that_damage_has_made_ends_somewhere() {
        let mut people = People::default();
        people.join(1, 2);
        people.join(2, 1);
        assert_eq!(people.family(1).len(), 2);
    }
}
