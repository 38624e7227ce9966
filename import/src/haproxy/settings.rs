//! Options that directives have set, before there is a pool to put them into.

use crate::draft::{Origin, Pool};
use crate::report::Report;
use crate::value::Value;

/// One option, with the directive that it comes from.
#[derive(Clone, Debug)]
pub(super) struct Setting {
    pub(super) table: &'static str,
    pub(super) key: &'static str,
    pub(super) value: Value,
    pub(super) line: usize,
    pub(super) what: String,
}

/// Options by their names: what comes later wins.
#[derive(Clone, Debug, Default)]
pub(super) struct Settings {
    all: Vec<Setting>,
}

impl Settings {
    pub(super) fn put(&mut self, setting: Setting) {
        self.all.retain(|other| (other.table, other.key) != (setting.table, setting.key));
        self.all.push(setting);
    }

    /// What several servers say alike: another value than the first one's is left over.
    pub(super) fn agree(&mut self, setting: Setting, report: &mut Report) {
        let key = (setting.table, setting.key);
        match self.all.iter().find(|other| (other.table, other.key) == key) {
            Some(other) if other.value != setting.value => {
                let why = format!(
                    "one value holds for all nodes of a pool, {} as in line {}",
                    other.value, other.line
                );
                report.left(setting.line, &setting.what, why);
            }
            Some(_) => {}
            None => self.all.push(setting),
        }
    }

    pub(super) fn remove(&mut self, table: &str, key: &str) -> Option<Setting> {
        let at = self.all.iter().position(|other| (other.table, other.key) == (table, key))?;
        Some(self.all.remove(at))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Setting> {
        self.all.iter()
    }

    /// Puts all of them into a pool: those of one table together, as they may bound each other; one by one
    /// where that is refused.
    pub(super) fn apply(&self, pool: &mut Pool, report: &mut Report) {
        let mut tables: Vec<&'static str> = Vec::new();
        for setting in &self.all {
            if !tables.contains(&setting.table) {
                tables.push(setting.table);
            }
        }
        for table in tables {
            let of_table = || self.all.iter().filter(|setting| setting.table == table);
            let together = of_table().map(|setting| (setting.key, setting.value.clone())).collect();
            if pool.try_all(table, together, "").is_ok() {
                continue;
            }
            for setting in of_table() {
                let origin = Origin { line: setting.line, what: &setting.what };
                pool.set(table, setting.key, setting.value.clone(), origin, report);
            }
        }
    }
}
