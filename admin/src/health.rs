//! `/healthz`: does the process work? `/readyz`: can every pool serve?

use axum::http::StatusCode;
use config::Pool;
use topology::Snapshot;

use crate::serving::obstacles;

/// 200 while all workers answer. One that has ended in a drain need not.
pub(crate) fn health(answered: &[bool], draining: bool) -> (StatusCode, String) {
    let silent: Vec<String> = std::iter::zip(0.., answered)
        .filter(|(_, answered)| !**answered)
        .map(|(worker, _): (usize, _)| format!("worker {worker} does not answer\n"))
        .collect();
    if silent.is_empty() || draining {
        (StatusCode::OK, "ok\n".to_owned())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, silent.concat())
    }
}

/// 200 when every pool can serve what its listeners promise and new clients are accepted; else the reasons.
pub(crate) fn readiness(
    pools: &[Pool],
    snapshot: &Snapshot,
    draining: bool,
) -> (StatusCode, String) {
    if draining {
        return (StatusCode::SERVICE_UNAVAILABLE, "draining: no new clients\n".to_owned());
    }
    let obstacles: Vec<String> = pools
        .iter()
        .enumerate()
        .flat_map(|(index, pool)| obstacles(pool, snapshot.pools.get(index).map(AsRef::as_ref)))
        .collect();
    if obstacles.is_empty() {
        (StatusCode::OK, "ready\n".to_owned())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, obstacles.join("\n") + "\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn health_names_the_workers_that_are_silent() {
        assert_eq!(health(&[true, true], false), (StatusCode::OK, "ok\n".to_owned()));
        let (code, text) = health(&[true, false], false);
        assert_eq!((code.as_u16(), text.as_str()), (503, "worker 1 does not answer\n"));
        assert_eq!(health(&[false, false], true).0, StatusCode::OK);
    }

    #[test]
    fn readiness_ends_with_the_drain() {
        let (pools, snapshot) = (fixture::config().pools, fixture::snapshot());
        assert_eq!(readiness(&pools, &snapshot, false), (StatusCode::OK, "ready\n".to_owned()));
        let (code, text) = readiness(&pools, &snapshot, true);
        assert_eq!((code.as_u16(), text.as_str()), (503, "draining: no new clients\n"));
    }

    #[test]
    fn readiness_needs_every_pool() {
        let pools = fixture::config().pools;
        let (code, text) = readiness(&pools, &Snapshot::default(), false);
        assert_eq!(code.as_u16(), 503);
        assert_eq!(
            text,
            "pool main: no node has been looked at yet\npool cache: no node has been looked at yet\n"
        );
    }
}
