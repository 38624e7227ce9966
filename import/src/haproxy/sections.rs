//! The sections of a file.

use super::words::Directive;
use crate::report::Report;

/// What a section is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Global,
    Defaults,
    Frontend,
    Backend,
    Listen,
    Resolvers,
    Peers,
    Other,
}

/// One section.
#[derive(Clone, Debug)]
pub(super) struct Section {
    pub(super) kind: Kind,
    pub(super) name: String,
    pub(super) head: Directive,
    pub(super) directives: Vec<Directive>,
    /// Of a proxy: the index of the `defaults` that hold for it.
    pub(super) defaults: Option<usize>,
}

impl Section {
    /// `listen NAME ADDRESS:PORT`, as files from before HAProxy 1.5 have it.
    pub(super) fn bound(&self) -> Option<Directive> {
        let address = self.head.word(2);
        if !matches!(self.kind, Kind::Listen | Kind::Frontend) || !address.contains(':') {
            return None;
        }
        let words = std::iter::once("bind".to_owned()).chain(self.head.rest(2).iter().cloned());
        Some(Directive {
            line: self.head.line,
            words: words.collect(),
            text: self.head.text.clone(),
        })
    }
}

const KINDS: [(&str, Kind); 20] = [
    ("global", Kind::Global),
    ("defaults", Kind::Defaults),
    ("frontend", Kind::Frontend),
    ("backend", Kind::Backend),
    ("listen", Kind::Listen),
    ("resolvers", Kind::Resolvers),
    ("peers", Kind::Peers),
    ("userlist", Kind::Other),
    ("mailers", Kind::Other),
    ("program", Kind::Other),
    ("http-errors", Kind::Other),
    ("ring", Kind::Other),
    ("log-forward", Kind::Other),
    ("log-profile", Kind::Other),
    ("fcgi-app", Kind::Other),
    ("cache", Kind::Other),
    ("crt-store", Kind::Other),
    ("traces", Kind::Other),
    ("acme", Kind::Other),
    ("healthcheck", Kind::Other),
];

/// Sorts directives into sections. What stands before the first of them is left over.
pub(super) fn sections(directives: Vec<Directive>, report: &mut Report) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    let mut defaults = None;
    for directive in directives {
        let kind = KINDS.iter().find(|(word, _)| *word == directive.word(0));
        if directive.word(0).starts_with('.') {
            let why =
                "conditions of the file itself: import the file as it is for one of the cases";
            report.left(directive.line, &directive.text, why);
        } else if let Some((_, kind)) = kind {
            let named = position_after(&directive, "from");
            let inherited = match (kind, named) {
                (_, Some(from)) => sections.iter().position(|section| {
                    section.kind == Kind::Defaults && section.name == directive.word(from)
                }),
                (Kind::Defaults, None) => None,
                (_, None) => defaults,
            };
            if *kind == Kind::Defaults {
                defaults = Some(sections.len());
            }
            let name = match directive.word(1) {
                "from" => "",
                name => name,
            };
            sections.push(Section {
                kind: *kind,
                name: name.to_owned(),
                head: directive,
                directives: Vec::new(),
                defaults: inherited,
            });
        } else if let Some(section) = sections.last_mut() {
            section.directives.push(directive);
        } else {
            report.left(directive.line, &directive.text, "it stands in no section");
        }
    }
    sections
}

fn position_after(directive: &Directive, word: &str) -> Option<usize> {
    directive.words.iter().position(|other| other == word).map(|at| at + 1)
}

/// What holds for a section: what it inherits, then its own.
pub(super) fn effective(sections: &[Section], index: usize) -> Vec<&Directive> {
    let mut directives = inherited(sections, index);
    directives.extend(&sections[index].directives);
    directives
}

/// The directives of a section's `defaults`, and of the defaults of these, outermost first.
pub(super) fn inherited(sections: &[Section], index: usize) -> Vec<&Directive> {
    let mut chain = vec![index];
    while let Some(next) = chain.last().and_then(|last| sections[*last].defaults) {
        if chain.contains(&next) {
            break;
        }
        chain.push(next);
    }
    chain[1..].iter().rev().flat_map(|index| &sections[*index].directives).collect()
}
