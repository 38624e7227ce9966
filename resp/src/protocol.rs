//! The two versions of the protocol.

/// The version of the protocol that a connection speaks, as `HELLO` sets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Protocol {
    /// What every connection speaks before `HELLO 3`.
    #[default]
    Resp2,
    /// With maps, sets, doubles, pushes, attributes.
    Resp3,
}
