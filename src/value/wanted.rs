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
        match path.split_first() {
            None => *self = Wanted::All,
            Some((first, rest)) => {
                if let Some(inner) = self.inner(first) {
                    inner.add(rest);
                }
            }
        }
    }

    /// What another one wants is wanted too.
    pub fn extend(&mut self, other: &Wanted) {
        match other {
            Wanted::Nothing => {}
            Wanted::All => *self = Wanted::All,
            Wanted::Fields(fields) => {
                for (name, wanted) in fields {
                    if let Some(inner) = self.inner(name) {
                        inner.extend(wanted);
                    }
                }
            }
        }
    }

    /// What is wanted of the field of that name, to add to it; `None` where all is wanted already.
    fn inner(&mut self, name: &str) -> Option<&mut Wanted> {
        if *self == Wanted::Nothing {
            *self = Wanted::Fields(Vec::new());
        }
        let Wanted::Fields(fields) = self else { return None };
        let place = fields.iter().position(|(found, _)| found == name).unwrap_or_else(|| {
            fields.push((name.to_owned(), Wanted::Nothing));
            fields.len() - 1
        });
        Some(&mut fields[place].1)
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
