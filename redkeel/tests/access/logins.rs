//! Passwords: which are right, and how many wrong ones may be tried.

use testkit::{Client, RedisServer, Redkeel, bulk, error_text, eventually, simple};

use crate::scene::{SOON, proxy, ready};

const WRONG: &str = "WRONGPASS invalid username-password pair or user is disabled.";

fn attempt(client: &mut Client, user: &str, password: &str) -> Option<String> {
    error_text(&client.command(["AUTH", user, password]))
}

fn metric(redkeel: &Redkeel, name: &str) -> u64 {
    let page = redkeel.admin_get("/metrics").body;
    let line = page.lines().find(|line| line.starts_with(&format!("{name}{{"))).unwrap();
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

#[test]
fn a_single_password_is_that_of_the_default_user() {
    let server = RedisServer::start();
    let redkeel =
        ready(proxy([&server], "auth = 'users'\n[pool.main.users.default]\npassword = 'one'"));
    let mut client = redkeel.client();
    assert_eq!(
        error_text(&client.command(["GET", "a"])).unwrap(),
        "NOAUTH Authentication required."
    );
    assert_eq!(error_text(&client.command(["AUTH", "two"])).unwrap(), WRONG);
    assert_eq!(client.command(["AUTH", "one"]), simple("OK"));
    assert_eq!(client.command(["SET", "a", "1"]), simple("OK"));
    assert_eq!(client.command(["PUBLISH", "c", "m"]), testkit::Value::Integer(0));
    assert_eq!(client.command(["ACL", "WHOAMI"]), bulk("default"));
    assert!(error_text(&client.command(["FLUSHALL"])).unwrap().starts_with("NOPERM"));
    let mut named = redkeel.client();
    assert_eq!(attempt(&mut named, "default", "one"), None);
    assert_eq!(metric(&redkeel, "redkeel_pool_login_failures_total"), 1);
}

#[test]
fn who_may_not_select_stays_in_the_database_selected_before() {
    let server = RedisServer::start();
    let rule = ["ACL", "SETUSER", "app", "on", ">pw", "~*", "+@all", "-select"];
    assert_eq!(server.cli(rule), simple("OK"));
    assert_eq!(server.cli(["SET", "key", "in 0"]), simple("OK"));
    let redkeel = ready(proxy([&server], ""));
    for login in [&["AUTH", "app", "pw"] as &[&str], &["HELLO", "3", "AUTH", "app", "pw"]] {
        let mut client = redkeel.client();
        assert_eq!(client.command(["SELECT", "9"]), simple("OK"));
        assert_eq!(client.command(["SET", "key", "in 9"]), simple("OK"));
        assert_eq!(error_text(&client.command(login)), None);
        // Over a lane, the one for scripts, and a connection of its own.
        assert_eq!(client.command(["GET", "key"]), bulk("in 9"));
        let script = "return redis.call('GET', KEYS[1])";
        assert_eq!(client.command(["EVAL", script, "1", "key"]), bulk("in 9"));
        assert_eq!(client.command(["WATCH", "key"]), simple("OK"));
        assert_eq!(client.command(["MULTI"]), simple("OK"));
        assert_eq!(client.command(["GET", "key"]), simple("QUEUED"));
        assert_eq!(client.command(["EXEC"]), testkit::Value::Array(vec![bulk("in 9")]));
        assert_eq!(client.command(["ACL", "WHOAMI"]), bulk("app"));
        let error = error_text(&client.command(["SELECT", "8"])).unwrap();
        assert!(error.starts_with("NOPERM"), "{error}");
        assert_eq!(client.command(["GET", "key"]), bulk("in 9"));
    }
}

#[test]
fn passwords_are_rotated_without_an_interruption() {
    let server = RedisServer::start();
    let settings = "auth = 'users'\n[pool.main.users.app]\ncommands = ['+@all']\npassword = ['old', \
        { sha256 = '2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824' }]";
    let redkeel = ready(proxy([&server], settings));
    for password in ["old", "hello"] {
        assert_eq!(attempt(&mut redkeel.client(), "app", password), None, "{password}");
    }
    let digest = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    for (user, password) in [("app", digest), ("app", ""), ("nobody", "old"), ("APP", "old")] {
        let found = attempt(&mut redkeel.client(), user, password);
        assert_eq!(found.as_deref(), Some(WRONG), "{user} {password}");
    }
}

#[test]
fn guessing_is_stopped_for_a_while_and_an_outdated_password_stops_nobody() {
    let server = RedisServer::start();
    let settings = "auth = 'users'\n[pool.main.limits]\nlogin_failures = 3\n\
        [pool.main.users.app]\ncommands = ['+@all']\nkeys = ['*']\npassword = 'right'";
    let redkeel = ready(proxy([&server], settings));
    let mut working = redkeel.client();
    assert_eq!(attempt(&mut working, "app", "right"), None);
    // A service that was forgotten.
    for _ in 0..20 {
        assert_eq!(attempt(&mut redkeel.client(), "app", "outdated").as_deref(), Some(WRONG));
    }
    assert_eq!(attempt(&mut redkeel.client(), "app", "right"), None);
    // Two more of different kinds, over connections that different workers have.
    for guess in ["a", "b"] {
        assert_eq!(attempt(&mut redkeel.client(), "app", guess).as_deref(), Some(WRONG));
    }
    let limited =
        "ERR redkeel: too many wrong passwords from this address (login_failures); wait 10 seconds";
    for guess in ["c", "right"] {
        assert_eq!(attempt(&mut redkeel.client(), "app", guess).as_deref(), Some(limited));
        let hello = redkeel.client().command(["HELLO", "3", "AUTH", "app", guess]);
        assert_eq!(error_text(&hello).as_deref(), Some(limited));
    }
    // Who is logged in does not notice.
    assert_eq!(working.command(["SET", "a", "1"]), simple("OK"));
    assert_eq!(metric(&redkeel, "redkeel_pool_logins_refused_total"), 4);
    eventually(SOON, "the failures to be forgotten", || {
        attempt(&mut redkeel.client(), "app", "right").is_none()
    });
}

#[test]
fn guesses_that_a_node_refuses_count_as_well() {
    let server = RedisServer::builder().requirepass("right").start();
    let settings =
        "[pool.main.upstream]\npassword = 'right'\n[pool.main.limits]\nlogin_failures = 2";
    let redkeel = ready(proxy([&server], settings));
    for guess in ["a", "b"] {
        let error = attempt(&mut redkeel.client(), "default", guess).unwrap();
        assert!(error.starts_with("WRONGPASS"), "{error}");
    }
    let error = attempt(&mut redkeel.client(), "default", "right").unwrap();
    assert!(error.starts_with("ERR redkeel: too many wrong passwords"), "{error}");
    assert_eq!(metric(&redkeel, "redkeel_pool_login_failures_total"), 2);
}
