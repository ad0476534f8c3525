//! What is wrong with a request, and where.

/// The most faults that are told of one request: whoever sent more has another form in mind.
pub const FAULTS_MAX: usize = 16;

/// Of an unknown name so many characters are repeated in a fault.
const NAME_SHOWN: usize = 64;

/// Something in a request that Meta would refuse, or that the box can't do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The place in the request as a JSON Pointer (RFC 6901), `/interactive/action/buttons/3`; empty
    /// for the whole of it.
    pub pointer: String,
    /// What is wrong there and what is allowed, without the name of the place: `has 4 buttons; 1 to 3 are allowed`.
    pub detail: String,
}

impl Fault {
    /// Names a member that isn't one of those that are `known`, and the one that may be meant.
    #[must_use]
    pub fn unknown_member(name: &str, known: &[&str]) -> Self {
        let detail = match nearest(name, known) {
            Some(meant) => format!("is no member of this body; did you mean {meant:?}?"),
            None => format!("is no member of this body; there are {}", known.join(", ")),
        };
        Self { pointer: Self::member(name), detail }
    }

    /// The pointer to a member of the whole. Of a long name it has the beginning.
    #[must_use]
    pub fn member(name: &str) -> String {
        Place::ROOT.member(name).pointer()
    }
}

/// The faults found so far, [`FAULTS_MAX`] at most.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<Fault>);

impl Faults {
    /// Notes one.
    pub(super) fn add(&mut self, place: &Place<'_>, detail: impl Into<String>) {
        self.push(Fault { pointer: place.pointer(), detail: detail.into() });
    }

    /// Notes one that is put together already.
    pub(super) fn push(&mut self, fault: Fault) {
        if self.0.len() < FAULTS_MAX {
            self.0.push(fault);
        }
    }

    /// What was made, if nothing was wrong.
    pub(super) fn or<T>(self, made: T) -> Result<T, Vec<Fault>> {
        if self.0.is_empty() { Ok(made) } else { Err(self.0) }
    }
}

/// A place in a request. It is a chain of borrowed steps, so that a request without a fault costs
/// no text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'p> {
    outer: Option<&'p Self>,
    step: Step<'p>,
}

#[derive(Debug, Clone, Copy)]
enum Step<'p> {
    Root,
    Member(&'p str),
    Element(usize),
}

impl<'p> Place<'p> {
    /// The whole request.
    pub(super) const ROOT: Place<'static> = Place { outer: None, step: Step::Root };

    /// A member of the object here.
    pub(super) const fn member<'q>(&'q self, name: &'q str) -> Place<'q>
    where
        'p: 'q,
    {
        Place { outer: Some(self), step: Step::Member(name) }
    }

    /// An element of the list here, from 0.
    pub(super) const fn element<'q>(&'q self, at: usize) -> Place<'q>
    where
        'p: 'q,
    {
        Place { outer: Some(self), step: Step::Element(at) }
    }

    /// The place as a JSON Pointer.
    pub(super) fn pointer(&self) -> String {
        let mut pointer = self.outer.map(Place::pointer).unwrap_or_default();
        match self.step {
            Step::Root => {}
            Step::Element(at) => pointer.extend(["/", &at.to_string()]),
            Step::Member(name) => {
                pointer.push('/');
                pointer.push_str(&shown(name).replace('~', "~0").replace('/', "~1"));
            }
        }
        pointer
    }
}

/// The beginning of a name that a stranger chose.
pub(super) fn shown(name: &str) -> &str {
    name.char_indices().nth(NAME_SHOWN).map_or(name, |(end, _)| &name[..end])
}

/// The known word that is meant by a mistyped one: the nearest, at most two letters away and less
/// than half of it.
pub(super) fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    let word = shown(word).to_lowercase();
    let (away, nearest) = known.iter().map(|known| (distance(&word, known), *known)).min()?;
    (away <= 2 && 2 * away < nearest.chars().count()).then_some(nearest)
}

/// How many letters have to be added, taken away or changed to make the one word the other.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (above, letter) in (1..).zip(one.chars()) {
        let mut diagonal = std::mem::replace(&mut row[0], above);
        for (at, known) in other.iter().enumerate() {
            let changed = diagonal + usize::from(letter != *known);
            diagonal = row[at + 1];
            row[at + 1] = changed.min(row[at] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_json_pointer() {
        let root = Place::ROOT;
        let (outer, long) = (root.member("a/b~c"), "x".repeat(100));
        let inner = outer.element(3);
        assert_eq!(root.pointer(), "");
        assert_eq!(inner.pointer(), "/a~1b~0c/3");
        assert_eq!(root.member(&long).pointer().len(), 1 + NAME_SHOWN);
    }

    #[test]
    fn the_nearest_name_is_found_and_a_far_one_is_none() {
        let known = ["text", "template", "to", "type", "image"];
        for (word, meant) in [
            ("txt", Some("text")),
            ("Image", Some("image")),
            ("tempalte", Some("template")),
            ("imagery", Some("image")),
            ("x", None),
            ("", None),
            ("payload", None),
        ] {
            assert_eq!(nearest(word, &known), meant, "{word}");
        }
    }

    #[test]
    fn faults_have_a_bound() {
        let mut faults = Faults::default();
        for _ in 0..100 {
            faults.add(&Place::ROOT, "is wrong");
        }
        assert_eq!(faults.or(()).unwrap_err().len(), FAULTS_MAX);
    }
}
