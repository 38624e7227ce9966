//! Backends that ask Sentinels who the primary is, and `use-server` lines that go by what they say.

use super::check::{request, secret};
use super::sections::{Kind, Section};
use super::sink::Sink;
use super::words::Directive;
use crate::value::Value;

/// What one backend asks, or several ask alike.
#[derive(Clone, Debug)]
pub(super) struct Watch {
    pub(super) backend: String,
    /// What the Sentinels call the primary.
    pub(super) master: String,
    pub(super) sentinels: Vec<String>,
    pub(super) password: Option<Value>,
}

impl Watch {
    /// Does any `use-server` go by it?
    pub(super) fn is_heeded(&self, sections: &[Section]) -> bool {
        let asked = format!("nbsrv({})", self.backend);
        let directives = sections.iter().flat_map(|section| &section.directives);
        directives
            .filter(|directive| directive.word(0) == "use-server")
            .any(|directive| directive.words.iter().any(|word| word.contains(&asked)))
    }
}

/// The backends whose checks say `SENTINEL get-master-addr-by-name NAME`.
pub(super) fn watches(sections: &[Section]) -> Vec<Watch> {
    let backends = sections.iter().filter(|section| section.kind == Kind::Backend);
    backends.filter_map(watch).collect()
}

fn watch(section: &Section) -> Option<Watch> {
    let sends = section
        .directives
        .iter()
        .filter(|directive| directive.word(0) == "tcp-check" && directive.word(1) == "send");
    let (mut master, mut password) = (None, None);
    for words in sends.map(|directive| request(directive.word(2))) {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words.as_slice() {
            [name, question, which]
                if name.eq_ignore_ascii_case("sentinel")
                    && question.eq_ignore_ascii_case("get-master-addr-by-name") =>
            {
                master = Some((*which).to_owned());
            }
            [name, secret_text] if name.eq_ignore_ascii_case("auth") => {
                password = Some(secret(secret_text));
            }
            _ => {}
        }
    }
    let servers = section.directives.iter().filter(|directive| directive.word(0) == "server");
    let sentinels = servers.map(|directive| directive.word(2).to_owned()).collect();
    Some(Watch { backend: section.name.clone(), master: master?, sentinels, password })
}

/// What `use-server` lines decide by, where that is Sentinels who watch one primary. Otherwise they are left over.
pub(super) fn of(
    watches: &[Watch],
    decided_by: &[Directive],
    sink: &mut Sink<'_>,
) -> Option<Watch> {
    let mut found: Option<Watch> = None;
    for directive in decided_by {
        let asked = watches.iter().find(|watch| {
            let asked = format!("nbsrv({})", watch.backend);
            directive.words.iter().any(|word| word.contains(&asked))
        });
        match (asked, &mut found) {
            (Some(watch), Some(known)) if known.master == watch.master => {
                for sentinel in &watch.sentinels {
                    if !known.sentinels.contains(sentinel) {
                        known.sentinels.push(sentinel.clone());
                    }
                }
            }
            (Some(watch), None) => found = Some(watch.clone()),
            _ => {
                let why = "which node is the primary is found out: where Sentinels say it, `sentinel = { master = \"…\", \
                           sentinels = […] }` asks them";
                sink.left(directive, why);
                continue;
            }
        }
        sink.needless(directive, "the Sentinels say who the primary is, and Redkeel asks them");
    }
    found
}
