//! Which parts of a value somebody looks into.

/// What has to be read of a value.
///
/// ```
/// use pipeline::value::Wanted;
///
/// let mut wanted = Wanted::Nothing;
/// wanted.add(&["order", "amount"]);
/// wanted.add(&["order", "id"]);
/// let Wanted::Fields(fields) = &wanted else { panic!() };
/// assert_eq!(fields.len(), 1, "both are in `order`");
/// wanted.add(&[]);
/// assert_eq!(wanted, Wanted::All);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Wanted {
    /// Nothing: the bytes are not read at all.
    #[default]
    Nothing,
    /// All of it.
    All,
    /// These fields, and of each what is said with it. There are few, so they are compared one by one.
    Fields(Vec<(String, Wanted)>),
}

impl Wanted {
    /// What is at this path is looked into too: the names of the fields that lead there.
    pub fn add(&mut self, path: &[&str]) {
        let Some((first, rest)) = path.split_first() else {
            *self = Wanted::All;
            return;
        };
        match self {
            Wanted::All => {}
            Wanted::Nothing => {
                let mut inner = Wanted::Nothing;
                inner.add(rest);
                *self = Wanted::Fields(vec![((*first).to_owned(), inner)]);
            }
            Wanted::Fields(fields) => match fields.iter_mut().find(|(name, _)| name == first) {
                Some((_, inner)) => inner.add(rest),
                None => {
                    let mut inner = Wanted::Nothing;
                    inner.add(rest);
                    fields.push(((*first).to_owned(), inner));
                }
            },
        }
    }

    /// What another one wants is wanted too.
    pub fn extend(&mut self, other: &Wanted) {
        match other {
            Wanted::Nothing => {}
            Wanted::All => *self = Wanted::All,
            Wanted::Fields(fields) => {
                for (name, inner) in fields {
                    match self {
                        Wanted::All => return,
                        Wanted::Fields(mine) => match mine.iter_mut().find(|(found, _)| found == name) {
                            Some((_, found)) => found.extend(inner),
                            None => mine.push((name.clone(), inner.clone())),
                        },
                        Wanted::Nothing => *self = Wanted::Fields(vec![(name.clone(), inner.clone())]),
                    }
                }
            }
        }
    }

    /// What is wanted of the field of that name, if anything.
    pub fn field(&self, name: &str) -> Option<&Wanted> {
        match self {
            Wanted::Nothing => None,
            Wanted::All => Some(&Wanted::All),
            Wanted::Fields(fields) => fields.iter().find(|(found, _)| found == name).map(|(_, inner)| inner),
        }
    }
}
