import pytest
from modelway_server.settings import load
from modelway_server.startup import StartupError


def test_defaults_are_those_of_the_documentation() -> None:
    settings = load({})
    assert settings.model_dump(mode="json") == {
        "model": None,
        "version": None,
        "model_dir": "/model",
        "host": "127.0.0.1",
        "port": 8080,
        "admin_port": 9090,
        "root_path": "",
        "max_rows": 1000,
        "max_body_bytes": 1048576,
        "max_header_bytes": 16384,
        "max_connections": 2000,
        "max_concurrency": 512,
        "max_queue_rows": 4096,
        "max_batch_rows": 64,
        "batch_wait_microseconds": 0,
        "predict_timeout_seconds": 30.0,
        "header_timeout_seconds": 10.0,
        "body_timeout_seconds": 30.0,
        "keep_alive_seconds": 75,
        "drain_seconds": 5.0,
        "shutdown_seconds": 30,
        "workers": None,
        "access_log": False,
        "traces_url": None,
        "log_features": False,
        "api_key_file": None,
        "feedback_key_file": None,
        "feedback_expiry_seconds": 2592000.0,
        "feedback_outcomes": "",
        "subjects": False,
        "subject_header": None,
        "subject_cookie": None,
        "slow_seconds": None,
        "shadow": False,
        "allow_pickle": False,
    }


def test_all_problems_are_reported_together() -> None:
    environment = {
        "MODELWAY_PORT": "0",
        "MODELWAY_MAX_ROWS": "many",
        "MODELWAY_MODEL": "Breast_Cancer",
        "MODELWAY_ADMIN_PROT": "1",
    }
    with pytest.raises(StartupError) as caught:
        load(environment)
    assert caught.value.reasons == (
        "MODELWAY_ADMIN_PROT: unknown setting: did you mean MODELWAY_ADMIN_PORT?",
        "MODELWAY_MODEL: not a usable value: got 'Breast_Cancer', allowed match pattern "
        "'^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'; correct the variable or leave it out for the default.",
        "MODELWAY_PORT: not a usable value: got '0', allowed greater than or equal to 1; "
        "correct the variable or leave it out for the default.",
        "MODELWAY_MAX_ROWS: not a usable value: got 'many', allowed a valid integer, unable to parse string as an "
        "integer; correct the variable or leave it out for the default.",
    )


def test_both_ports_must_differ() -> None:
    with pytest.raises(StartupError) as caught:
        load({"MODELWAY_PORT": "9000", "MODELWAY_ADMIN_PORT": "9000"})
    assert caught.value.reasons == (
        "MODELWAY_ADMIN_PORT: is the port of the predictions: got 9000, allowed a port of its own; choose another.",
    )


@pytest.mark.parametrize(
    ("environment", "reason"),
    [
        (
            {"MODELWAY_SUBJECTS": "true", "MODELWAY_SUBJECT_HEADER": "x-user-id", "MODELWAY_SUBJECT_COOKIE": "uid"},
            "MODELWAY_SUBJECT_COOKIE: a user has one key: got uid beside MODELWAY_SUBJECT_HEADER=x-user-id, "
            "allowed one of the two; leave out the one that the split does not use.",
        ),
        (
            {"MODELWAY_SLOW_SECONDS": "0.1"},
            "MODELWAY_SLOW_SECONDS: says how to count subjects, which are not counted: got 0.1, "
            "allowed beside MODELWAY_SUBJECTS=true; set that, or leave this out.",
        ),
        (
            {"MODELWAY_SUBJECTS": "true", "MODELWAY_SHADOW": "true"},
            "MODELWAY_SHADOW: a shadow answers nobody, so it has no subjects: got true beside MODELWAY_SUBJECTS=true, "
            "allowed one of the two; leave out the one that the version is not.",
        ),
    ],
)
def test_settings_of_subjects_must_fit_each_other(environment: dict[str, str], reason: str) -> None:
    with pytest.raises(StartupError) as caught:
        load(environment)
    assert caught.value.reasons == (reason,)


def test_variables_that_kubernetes_adds_for_services_are_no_mistake() -> None:
    load({"MODELWAY_GATEWAY_SERVICE_HOST": "10.0.0.1", "MODELWAY_GATEWAY_PORT": "tcp://10.0.0.1:80"})
