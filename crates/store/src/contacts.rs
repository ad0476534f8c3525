//! Who is who: aliases to contacts, joined when WhatsApp says that they belong together.

use std::collections::HashMap;

use model::{Alias, AliasKind};
use redb::{ReadOnlyTable, ReadTransaction};

use crate::format::record_v1::Lesson;
use crate::index::schema;
use crate::keyed::{self, Hash, HashKey};

/// Aliases remembered in memory, beside those not yet in redb. A full half is thrown away.
const CACHE_MAX: usize = 4096;
/// Contacts joined one after another are followed so far; a longer chain is damage.
const CHAIN_MAX: usize = 64;

/// Sets apart the hashes of aliases from those of events.
const DOMAIN: u8 = 16;

/// An alias as the index knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HashedAlias {
    hash: Hash,
    kind: AliasKind,
}

impl HashedAlias {
    pub(crate) fn new(key: &HashKey, alias: &Alias) -> Self {
        let kind = match alias.kind {
            AliasKind::UserId => 0,
            AliasKind::Phone => 1,
            AliasKind::ParentUserId => 2,
            AliasKind::Username => 3,
        };
        Self { hash: key.hash(DOMAIN + kind, &[alias.value.as_bytes()]), kind: alias.kind }
    }

    pub(crate) const fn hash(&self) -> Hash {
        self.hash
    }

    /// Whether it belongs to one person for good.
    fn is_strong(&self) -> bool {
        self.kind != AliasKind::Username
    }
}

/// Of the contacts that `aliases` name the one that they stand for.
pub(crate) fn choose(aliases: &[HashedAlias], known: &[Option<u128>]) -> Option<u128> {
    // Ids begin with the time of first sight: the smallest is the oldest, and it stays.
    let oldest = by_strong(aliases, known).min();
    let only_username = !aliases.iter().any(HashedAlias::is_strong);
    oldest.or_else(|| known.iter().flatten().copied().min().filter(|_| only_username))
}

fn by_strong(aliases: &[HashedAlias], known: &[Option<u128>]) -> impl Iterator<Item = u128> {
    aliases.iter().zip(known).filter(|(alias, _)| alias.is_strong()).filter_map(|(_, id)| *id)
}

/// The contacts, as far as the writer needs them.
#[derive(Default)]
pub(crate) struct Contacts {
    learned: keyed::HashMap<u128>,
    joined: HashMap<u128, u128>,
    cache: [keyed::HashMap<u128>; 2],
    aliases: Option<ReadOnlyTable<Hash, u128>>,
    merged: Option<ReadOnlyTable<u128, u128>>,
}

impl Contacts {
    /// Reads through `transaction` from now on.
    pub(crate) fn refresh(&mut self, transaction: &ReadTransaction) -> Result<(), redb::Error> {
        self.aliases = Some(transaction.open_table(schema::ALIASES)?);
        self.merged = Some(transaction.open_table(schema::JOINED)?);
        Ok(())
    }

    /// Finds the contact whom `aliases` name, and what is new about that. `fresh` is the id that a
    /// new contact gets; `group` is what records before this one in the same group taught.
    pub(crate) fn resolve(
        &mut self,
        aliases: &[HashedAlias],
        group: &GroupLessons,
        fresh: impl FnOnce() -> u128,
    ) -> Result<Lesson, redb::Error> {
        let mut known = Vec::with_capacity(aliases.len());
        for alias in aliases {
            known.push(self.find(alias.hash, group)?);
        }
        let contact = choose(aliases, &known).unwrap_or_else(fresh);
        let mut joined: Vec<u128> = by_strong(aliases, &known).filter(|id| *id != contact).collect();
        joined.sort_unstable();
        joined.dedup();
        let learned = aliases
            .iter()
            .zip(&known)
            .filter(|(alias, id)| id.is_none() || (!alias.is_strong() && **id != Some(contact)))
            .map(|(alias, _)| alias.hash)
            .collect();
        Ok(Lesson { contact, learned, joined })
    }

    fn find(&mut self, hash: Hash, group: &GroupLessons) -> Result<Option<u128>, redb::Error> {
        if let Some(contact) = group.learned.get(&hash) {
            // Not into the cache: the group may yet be refused, and nobody would learn it then.
            return self.root(*contact, group).map(Some);
        }
        let known = self.learned.get(&hash).or_else(|| {
            let [young, old] = &self.cache;
            young.get(&hash).or_else(|| old.get(&hash))
        });
        let contact = match (known, &self.aliases) {
            (Some(contact), _) => Some(*contact),
            (None, Some(table)) => table.get(hash)?.map(|found| found.value()),
            (None, None) => None,
        };
        if let Some(contact) = contact {
            if self.cache[0].len() >= CACHE_MAX {
                self.cache.swap(0, 1);
                self.cache[0].clear();
            }
            self.cache[0].insert(hash, contact);
        }
        contact.map(|contact| self.root(contact, group)).transpose()
    }

    /// The contact that stands for `contact` since they were joined.
    fn root(&self, contact: u128, group: &GroupLessons) -> Result<u128, redb::Error> {
        let mut root = contact;
        for _ in 0..CHAIN_MAX {
            let next = match group.joined.get(&root).or_else(|| self.joined.get(&root)) {
                Some(next) => Some(*next),
                None => match &self.merged {
                    Some(table) => table.get(root)?.map(|found| found.value()),
                    None => None,
                },
            };
            match next {
                Some(next) if next != root => root = next,
                _ => break,
            }
        }
        Ok(root)
    }

    /// Takes in what a durable record taught.
    pub(crate) fn learn(&mut self, lesson: &Lesson) {
        for hash in &lesson.learned {
            self.learned.insert(*hash, lesson.contact);
            for cache in &mut self.cache {
                cache.remove(hash);
            }
        }
        for joined in &lesson.joined {
            self.joined.insert(*joined, lesson.contact);
        }
    }

    /// What a fold is to store.
    pub(crate) fn snapshot(&self) -> ContactsFold {
        let mut learned: Vec<(Hash, u128)> = self.learned.iter().map(|(hash, id)| (*hash, *id)).collect();
        learned.sort_unstable();
        let mut joined: Vec<(u128, u128)> = self.joined.iter().map(|(from, to)| (*from, *to)).collect();
        joined.sort_unstable();
        ContactsFold { learned, joined }
    }

    /// A snapshot is in redb.
    pub(crate) fn folded(&mut self, fold: &ContactsFold) {
        for (hash, contact) in &fold.learned {
            if self.learned.get(hash) == Some(contact) {
                self.learned.remove(hash);
            }
        }
        for (from, to) in &fold.joined {
            if self.joined.get(from) == Some(to) {
                self.joined.remove(from);
            }
        }
    }
}

/// What the records of a group that isn't durable yet taught.
#[derive(Default)]
pub(crate) struct GroupLessons {
    learned: keyed::HashMap<u128>,
    joined: HashMap<u128, u128>,
}

impl GroupLessons {
    pub(crate) fn add(&mut self, lesson: &Lesson) {
        self.learned.extend(lesson.learned.iter().map(|hash| (*hash, lesson.contact)));
        self.joined.extend(lesson.joined.iter().map(|from| (*from, lesson.contact)));
    }
}

/// The part of a fold that concerns contacts.
pub(crate) struct ContactsFold {
    pub(crate) learned: Vec<(Hash, u128)>,
    pub(crate) joined: Vec<(u128, u128)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alias(kind: AliasKind, value: &str) -> HashedAlias {
        HashedAlias::new(&HashKey::new(b"k"), &Alias { kind, value: value.into() })
    }

    struct People {
        contacts: Contacts,
        next: u128,
    }

    impl People {
        fn see(&mut self, aliases: &[HashedAlias]) -> Lesson {
            let fresh = self.next + 1;
            let lesson = self.contacts.resolve(aliases, &GroupLessons::default(), || fresh).unwrap();
            self.next = self.next.max(lesson.contact);
            self.contacts.learn(&lesson);
            lesson
        }
    }

    #[test]
    fn a_message_with_both_names_joins_the_two_contacts_for_good() {
        let mut people = People { contacts: Contacts::default(), next: 0 };
        let phone = alias(AliasKind::Phone, "85261234567");
        let user = alias(AliasKind::UserId, "HK.1");
        assert_eq!(people.see(&[phone]).contact, 1);
        assert_eq!(people.see(&[user]).contact, 2);
        let joining = people.see(&[user, phone]);
        assert_eq!((joining.contact, joining.joined), (1, vec![2]));
        assert_eq!(people.see(&[user]).contact, 1);
        assert_eq!(people.see(&[phone]).contact, 1);
        let again = people.see(&[user, phone]);
        assert_eq!(again, Lesson { contact: 1, ..Lesson::default() });
    }

    #[test]
    fn what_a_refused_group_taught_is_learned_again() {
        let mut contacts = Contacts::default();
        let aliases = [alias(AliasKind::UserId, "HK.1")];
        let mut group = GroupLessons::default();
        group.add(&contacts.resolve(&aliases, &group, || 1).unwrap());
        assert_eq!(contacts.resolve(&aliases, &group, || 2).unwrap().contact, 1);
        // The group was refused: the next one begins without it.
        let lesson = contacts.resolve(&aliases, &GroupLessons::default(), || 3).unwrap();
        assert_eq!((lesson.contact, lesson.learned.len()), (3, 1));
    }

    #[test]
    fn a_username_finds_somebody_only_alone_and_moves_with_its_owner() {
        let mut people = People { contacts: Contacts::default(), next: 0 };
        let name = alias(AliasKind::Username, "ana");
        let (first, second) = (alias(AliasKind::UserId, "BR.1"), alias(AliasKind::UserId, "BR.2"));
        assert_eq!(people.see(&[first, name]).contact, 1);
        assert_eq!(people.see(&[name]).contact, 1);
        let lesson = people.see(&[second, name]);
        assert_eq!((lesson.contact, lesson.joined), (2, vec![]), "a username joins nobody");
        assert_eq!(people.see(&[name]).contact, 2);
        assert_eq!(people.see(&[first]).contact, 1);
    }
}
