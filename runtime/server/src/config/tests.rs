//! What goes before what, and what faults say.

use camshaft_model::limits;

use super::*;

fn load(file: &str, environment: &[(&str, &str)], flags: &[(&str, &str)]) -> Result<Config, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("camshaft.toml");
    std::fs::write(&path, file).unwrap();
    let flags: Vec<_> = flags.iter().map(|(path, text)| (*path, (*text).to_owned())).collect();
    let find = |name: &str| environment.iter().find(|(n, _)| *n == name).map(|(_, text)| (*text).to_owned());
    Config::load(Some(&path), find, &flags).map_err(|error| error.to_string())
}

#[test]
fn the_defaults_are_those_of_the_model_and_the_printed_file_says_the_same() {
    let config = Config::load(None, |_| None, &[]).unwrap();
    assert_eq!(config.sandbox, Budget::default());
    assert_eq!(config.sync.window, limits::SYNC_WINDOW);
    assert_eq!(config.limits.executions_per_second, limits::EXECUTIONS_PER_SECOND);
    assert_eq!(config.limits.body_bytes, limits::BODY_BYTES_MAX);
    assert_eq!(load(&Config::printed_default(), &[], &[]).unwrap(), config);
}

#[test]
fn flags_go_before_the_environment_before_the_file_before_the_default() {
    let file = "listen = \"127.0.0.1:1\"\n[limits]\nbody_bytes = 1\nexecutions_per_second = 1\n";
    let environment = [("CAMSHAFT_LISTEN", "127.0.0.1:2"), ("CAMSHAFT_LIMITS_BODY_BYTES", "2")];
    let config = load(file, &environment, &[("listen", "127.0.0.1:3")]).unwrap();
    assert_eq!(config.listen.port(), 3);
    assert_eq!((config.limits.body_bytes, config.limits.executions_per_second), (2, 1));
    let environment = [("CAMSHAFT_TRUSTED_PROXIES", "10.0.0.0/8, ::1")];
    assert_eq!(load("", &environment, &[]).unwrap().trusted_proxies.len(), 2);
}

#[test]
fn the_variables_that_tooljet_has_are_heard_and_ours_go_before_them() {
    let theirs = [("WEBHOOK_THROTTLE_TTL", "1000"), ("WEBHOOK_THROTTLE_LIMIT", "7")];
    let config = load("[tooljet]\nthrottle_limit = 5", &theirs, &[]).unwrap();
    assert_eq!(config.tooljet, ToolJet { throttle_ttl_ms: 1000, throttle_limit: 7 });
    let both = [("WEBHOOK_THROTTLE_LIMIT", "7"), ("CAMSHAFT_TOOLJET_THROTTLE_LIMIT", "9")];
    assert_eq!(load("", &both, &[]).unwrap().tooljet, ToolJet { throttle_ttl_ms: 60_000, throttle_limit: 9 });
    let error = load("", &[("WEBHOOK_THROTTLE_TTL", "soon")], &[]).unwrap_err();
    assert!(error.contains("WEBHOOK_THROTTLE_TTL: `soon`"), "{error}");
}

#[test]
fn what_is_kept_has_bounds_that_can_be_taken_away() {
    let config = load("", &[], &[]).unwrap().retention;
    let days = Duration::from_secs(30 * 24 * 3600);
    assert_eq!((config.age, config.size, config.every), (Some(days), Some(10 << 30), Duration::from_secs(60)));
    let config = load("[retention]\nage = \"\"\nsize = \"1.5 GB\"\n", &[], &[]).unwrap().retention;
    assert_eq!((config.age, config.size), (None, Some(1_500_000_000)));
    assert_eq!(load("", &[("CAMSHAFT_RETENTION_SIZE", "")], &[]).unwrap().retention.size, None);
}

#[test]
fn executions_may_take_as_long_as_their_workflows_say_unless_it_is_bounded() {
    let time = |file: &str, environment: &[(&str, &str)]| {
        load(file, environment, &[]).map(|config| config.limits.of_instance().execution_time)
    };
    assert_eq!(time("", &[]).unwrap(), None);
    let file = "[limits]\nexecution_time = \"1h30m\"\n";
    assert_eq!(time(file, &[]).unwrap(), Some(Duration::from_secs(5400)));
    assert_eq!(time(file, &[("CAMSHAFT_LIMITS_EXECUTION_TIME", "")]).unwrap(), None);
    let error = time(file, &[("CAMSHAFT_LIMITS_EXECUTION_TIME", "0s")]).unwrap_err();
    assert!(error.contains("`limits.execution_time`: `0s` is no duration"), "{error}");
}

#[test]
fn what_is_wrong_is_named_with_its_key_and_value() {
    for (file, environment, named) in [
        ("lissten = 1", None, "lissten"),
        ("[limits]\nbodies = 1", None, "limits.bodies"),
        ("limits = 3", None, "`limits` is a section"),
        ("listen = \"here\"", None, "`listen`: `here` is no address and port such as 127.0.0.1:7400"),
        ("listen = \"localhost:http:x\"", None, "`localhost:http:x`"),
        ("[sync]\nwindow = \"soon\"", None, "`soon` is no duration"),
        ("[retention]\nsize = \"lots\"", None, "`lots` is no size"),
        ("[retention]\nsize = \"0\"", None, "`0` is no size"),
        ("[retention]\nage = \"old\"", None, "`old` is no duration"),
        ("public_url = \"ftp://x\"", None, "`ftp://x`"),
        ("trusted_proxies = [\"ten\"]", None, "`ten`"),
        ("log = \"loud\"", None, "loud"),
        ("admin_token = \"x\"", None, "admin_token"),
        ("[sandbox]\noutput_bytes = 99999999", None, "99999999"),
        ("= 1", None, "line 1"),
        ("", Some(("CAMSHAFT_LIMITS_BODY_BYTES", "many")), "CAMSHAFT_LIMITS_BODY_BYTES: `many`"),
        ("", Some(("CAMSHAFT_ADMIN_TOKEN", "short")), "CAMSHAFT_ADMIN_TOKEN"),
    ] {
        let environment: Vec<_> = environment.into_iter().collect();
        let error = load(file, &environment, &[]).unwrap_err();
        assert!(error.contains(named), "{file:?} {environment:?}: {error}");
        assert!(!error.contains("short`"), "an admin token never shows");
    }
}

#[test]
fn a_name_is_an_address_too() {
    let config = load("listen = \"localhost:0\"", &[], &[]).unwrap();
    assert!(config.listen.ip().is_loopback() && config.listen.port() == 0, "{}", config.listen);
}

#[test]
fn a_variable_that_was_probably_meant_as_ours_is_refused() {
    let check = |name: &str| Config::check_names([name.to_owned()]).map_err(|error| error.to_string());
    for (name, named) in [
        ("CAMSHAFT_LIMIT_BODY_BYTES", "did you mean CAMSHAFT_LIMITS_BODY_BYTES?"),
        ("CAMSHAFT_LISTENS", "did you mean CAMSHAFT_LISTEN?"),
        ("CAMSHAFT_SANDBOX_CPUS", "did you mean CAMSHAFT_SANDBOX_CPU?"),
        ("CAMSHAFT_LIMITS_EVERYTHING_ELSE_THERE_IS", "`camshaft config` prints every key"),
    ] {
        let error = check(name).unwrap_err();
        assert!(error.contains(name) && error.contains(named), "{error}");
    }
    let others = ["PORT", "SERVICE_HOST", "SERVICE_PORT", "PORT_7400_TCP", "PORT_7400_TCP_ADDR"];
    for rest in others.iter().chain(&OTHER_VARIABLES) {
        assert_eq!(check(&format!("{PREFIX}{rest}")), Ok(()));
    }
    for key in KEYS {
        assert_eq!(check(&environment_name(key.path)), Ok(()));
    }
    assert_eq!(check("LIMIT_BODY_BYTES"), Ok(()));
}

#[test]
fn the_admin_token_never_shows() {
    let config = load("", &[("CAMSHAFT_ADMIN_TOKEN", "a very secret one\n")], &[]).unwrap();
    assert_eq!(config.admin_token.as_ref().unwrap().0, "a very secret one");
    assert!(!format!("{config:?}").contains("very secret"));
}
