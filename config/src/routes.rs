//! `routes` of a pool, and what the pools that they lead to may be.

use crate::diagnostics::Report;
use crate::kinds::{MirrorEntry, Placed, listed};
use crate::listeners;
use crate::model::{Listener, Mirror, Route, RouteTarget};
use crate::options::pool as pool_options;
use crate::options::routes;
use crate::section::Section;
use crate::suggest;
use crate::tree::{Field, Node, Span, Value};

/// More would be a mistake: keys are compared with all of them.
const MAX_ROUTES: usize = 1000;

/// All pools of the file, as far as routes depend on them.
pub(crate) struct Neighbours<'a> {
    pools: &'a [Field],
    targets: Vec<&'a str>,
}

impl<'a> Neighbours<'a> {
    pub(crate) fn new(pools: &'a [Field]) -> Self {
        let mut targets = Vec::new();
        for pool in pools {
            for route in routes_of(pool).into_iter().flat_map(entries) {
                targets.extend(targets_of(route).filter(|target| *target != pool.key));
            }
        }
        Self { pools, targets }
    }

    /// Does a route of another pool lead to this one?
    pub(crate) fn is_target(&self, pool: &str) -> bool {
        self.targets.contains(&pool)
    }

    fn find(&self, pool: &str) -> Option<&'a Field> {
        self.pools.iter().find(|field| field.key == pool)
    }
}

/// The texts that name pools, right or wrong.
fn targets_of(route: &Node) -> impl Iterator<Item = &str> {
    let fields = fields_of(route);
    let own =
        fields.iter().filter(|field| [routes::POOL.key, routes::READS.key].contains(&&*field.key));
    let mirrors = fields.iter().filter(|field| field.key == routes::MIRROR.key);
    let mirrored = mirrors
        .flat_map(|field| fields_of(&field.node))
        .filter(|field| field.key == routes::MIRROR_POOL.key);
    own.chain(mirrored).filter_map(|field| match &field.node.value {
        Value::Text(text) => Some(text.as_str()),
        _ => None,
    })
}

fn fields_of(node: &Node) -> &[Field] {
    match &node.value {
        Value::Table(fields) => fields,
        _ => &[],
    }
}

fn entries(routes: &Field) -> &[Node] {
    match &routes.node.value {
        Value::List(items) => items,
        _ => &[],
    }
}

fn routes_of(pool: &Field) -> Option<&Field> {
    fields_of(&pool.node).iter().find(|field| field.key == routes::KEY)
}

/// The routes of the pool `name`.
pub(crate) fn routes(
    pool: &Section<'_>,
    name: &str,
    path: &str,
    neighbours: &Neighbours<'_>,
    report: &mut Report,
) -> Vec<Route> {
    let Some(field) = pool.field(routes::KEY) else { return Vec::new() };
    let path = format!("{path}.{}", routes::KEY);
    let Value::List(items) = &field.node.value else {
        let found = field.node.value.type_name();
        report
            .error(
                field.key_span.clone(),
                format!("`routes` must be a list of tables, not {found}"),
            )
            .with_help(format!("each route follows under a header of its own: `[[{path}]]`"));
        return Vec::new();
    };
    if items.len() > MAX_ROUTES {
        report
            .error(field.key_span.clone(), "`routes` has too many entries")
            .with_help(format!("at most {MAX_ROUTES}"));
        return Vec::new();
    }
    let has_nodes = has_source(pool);
    let reader = Reader { name, has_nodes, neighbours };
    let mut read: Vec<Placed<Route>> = Vec::new();
    for item in items {
        let Some(route) = reader.route(item, &path, report) else { continue };
        if let Some(other) = read.iter().find(|other| other.value.prefix == route.value.prefix) {
            report
                .error(
                    route.span.clone(),
                    format!("two routes for the prefix `{}`", route.value.prefix),
                )
                .with_related(other.span.clone(), "here first")
                .with_help("one prefix leads to one place");
        }
        read.push(route);
    }
    let catches_all = items.iter().flat_map(fields_of).any(|field| {
        field.key == routes::PREFIX.key
            && matches!(&field.node.value, Value::Text(text) if text.is_empty())
    });
    if !has_nodes && !catches_all {
        report
            .error(field.key_span.clone(), "keys that no route fits have nowhere to go")
            .with_help(
                "add a route with `prefix = \"\"`, or nodes of the pool's own, for example `servers`",
            );
    }
    read.into_iter().map(|route| route.value).collect()
}

/// Has the pool nodes of its own, right or wrong?
pub(crate) fn has_source(pool: &Section<'_>) -> bool {
    let sources = pool_options::SOURCES.iter().chain(&pool_options::LATER_SOURCES);
    sources.into_iter().any(|key| pool.field(key).is_some())
}

/// Bytes that are passed through are not looked at.
pub(crate) fn refuse_tcp(section: &Section<'_>, listeners: &[Listener], report: &mut Report) {
    if section.field(routes::KEY).is_some() {
        listeners::refuse_tcp(section, listeners, "the pool has `routes`", report);
    }
}

/// Reads the routes of one pool.
struct Reader<'a> {
    name: &'a str,
    has_nodes: bool,
    neighbours: &'a Neighbours<'a>,
}

impl Reader<'_> {
    fn route(&self, item: &Node, path: &str, report: &mut Report) -> Option<Placed<Route>> {
        let place = format!("`[[{path}]]`");
        let Value::Table(fields) = &item.value else {
            let found = item.value.type_name();
            report
                .error(
                    item.span.clone(),
                    format!("an entry of `routes` must be a table, not {found}"),
                )
                .with_help("for example `{ prefix = \"user:\", pool = \"users\" }`");
            return None;
        };
        let mut section = Section::new(&place, &routes::TABLE, fields, item.span.clone());
        section.check_keys(report);
        section.require(routes::PREFIX.key, routes::PREFIX.example, report);
        let prefix = section.placed(&routes::PREFIX, report);
        let pool = match section.placed(&routes::POOL, report) {
            Some(pool) => self.target(&pool, report),
            None => self.own(section.span(), &section, report),
        };
        let reads = match section.placed(&routes::READS, report) {
            Some(reads) => self.target(&reads, report),
            None => pool.clone(),
        };
        let mirror = section.optional(&routes::MIRROR, report);
        let mirror = mirror.map(|mirror| self.mirror(mirror, pool.as_ref(), report));
        let prefix = prefix?;
        if section.is_broken() {
            return None;
        }
        let mirror = match mirror {
            Some(mirror) => Some(mirror?),
            None => None,
        };
        let route = Route { prefix: prefix.value, pool: pool?, reads: reads?, mirror };
        Some(Placed { value: route, span: prefix.span })
    }

    /// Where a route leads that names no pool.
    fn own(&self, span: Span, route: &Section<'_>, report: &mut Report) -> Option<RouteTarget> {
        if route.is_broken_at(routes::POOL.key) {
            return None;
        }
        if !self.has_nodes {
            report
                .error(span, "this route leads nowhere: the pool has no nodes of its own")
                .with_help("name the pool that it leads to: `pool = \"users\"`");
            return None;
        }
        Some(RouteTarget::Own)
    }

    fn target(&self, named: &Placed<String>, report: &mut Report) -> Option<RouteTarget> {
        if named.value != self.name {
            return self.other(named, report).map(RouteTarget::Pool);
        }
        if !self.has_nodes {
            report
                .error(named.span.clone(), format!("`{}` has no nodes of its own", named.value))
                .with_help("name another pool");
            return None;
        }
        Some(RouteTarget::Own)
    }

    /// Another pool, to which a route may lead.
    fn other(&self, named: &Placed<String>, report: &mut Report) -> Option<String> {
        let Some(pool) = self.neighbours.find(&named.value) else {
            let others = || {
                let pools = self.neighbours.pools.iter();
                pools.map(|pool| pool.key.as_str()).filter(|name| *name != self.name)
            };
            let help = match suggest::nearest(&named.value, others()) {
                Some(near) => format!("did you mean `{near}`?"),
                None if others().next().is_none() => {
                    format!("add it: `[pool.{}]`, with `servers`", named.value)
                }
                None => format!("the other pools are {}", listed(others())),
            };
            report
                .error(named.span.clone(), format!("there is no pool `{}`", named.value))
                .with_help(help);
            return None;
        };
        if let Some(routes) = routes_of(pool) {
            report
                .error(named.span.clone(), format!("`{}` has routes itself", named.value))
                .with_related(routes.key_span.clone(), "these")
                .with_help("a route leads to a pool with nodes of its own, and not further");
            return None;
        }
        Some(named.value.clone())
    }

    fn mirror(
        &self,
        mirror: MirrorEntry,
        pool: Option<&RouteTarget>,
        report: &mut Report,
    ) -> Option<Mirror> {
        let named = &mirror.pool;
        let is_same = match pool {
            Some(RouteTarget::Own) => named.value == self.name,
            Some(RouteTarget::Pool(name)) => named.value == *name,
            None => false,
        };
        if is_same || named.value == self.name {
            report
                .error(named.span.clone(), format!("`{}` cannot be its own mirror", named.value))
                .with_help("name another pool, or leave `mirror` out");
            return None;
        }
        let (share, commands) = (mirror.share, mirror.commands);
        Some(Mirror { pool: self.other(named, report)?, share, commands })
    }
}
