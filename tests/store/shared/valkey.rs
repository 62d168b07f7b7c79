//! Valkey does all that Redis does here.

use super::replicas::{PATH, PATIENT, at_once, count, replicas, shared};
use crate::app::{setup, sign_in, sign_out, token};
use crate::servers::valkey;
use crate::support::{App, eventually, get};

#[test]
fn valkey_keeps_sessions_limits_and_revocations() {
    const ID: &str = "zRVwr7nsgjeUE4j4QHXINTzcxVVPXztC";
    let (app, server) = (App::start(), valkey(""));
    let sessions = setup(&app, &server.url("redis"), 0).start();
    sign_in(&server, ID, "ada");
    assert_eq!(token(&sessions, ID).status, 200);
    sign_out(&server, ID);
    assert_eq!(token(&sessions, ID).status, 401);

    let gateways = replicas(
        3,
        &app,
        "limit = [\"20/hour\", \"100/day\"]",
        &shared(&server.url("redis"), PATIENT),
    );
    let addresses: Vec<String> = gateways.iter().map(|one| one.address.clone()).collect();
    let statuses = at_once(&addresses, &get(PATH).user("bob"), 5, 10);
    assert_eq!((count(&statuses, 200), count(&statuses, 429)), (20, 130));
    gateways[0].live.identifier.revoke_user("bob", gateways[0].live.clock.now());
    eventually("every replica has heard", || {
        gateways.iter().all(|gateway| gateway.token("bob").status == 401)
    });
}
