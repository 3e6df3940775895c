"""SnapStart with awslambdaric's own hooks."""

from typing import Any

from tests.conftest import RieServer, wait_until
from tests.integration.invoke.deploying import create, error_of, invoke

ON = {"ApplyOn": "PublishedVersions"}
HOOKS = """
    from snapshot_restore_py import register_after_restore, register_before_snapshot
    DONE = []
    register_before_snapshot(lambda: DONE.append("first before"))
    register_before_snapshot(lambda: DONE.append("second before"))
    register_after_restore(lambda: DONE.append("first after"))
    register_after_restore(lambda: DONE.append("second after"))
    def handler(event, context):
        return DONE
"""
FAILS = """
    from snapshot_restore_py import register_after_restore
    def refuse():
        raise RuntimeError("no database")
    register_after_restore(refuse)
    def handler(event, context):
        return 1
"""


def publish(client: Any, name: str, source: str) -> None:
    # Runs on the server's own interpreter where there is no Python 3.12.
    create(client, name, source, Runtime="python3.12", SnapStart=ON, Publish=True)


def test_hooks_run_in_awss_order_in_published_versions_alone(shared: RieServer, client: Any) -> None:
    publish(client, "hooks", HOOKS)
    answer = invoke(client, "hooks", Qualifier="1", LogType="Tail")
    assert answer.payload == ["second before", "first before", "first after", "second after"]
    assert "Restore Duration: " in answer.log
    assert invoke(client, "hooks").payload == []
    for qualifier, status in (("1", "On"), ("$LATEST", "Off")):
        shown = client.get_function_configuration(FunctionName="hooks", Qualifier=qualifier)["SnapStart"]
        assert shown == {**ON, "OptimizationStatus": status}
    for line in ("RESTORE_START Runtime Version: python:3.12", "RESTORE_REPORT Restore Duration: "):
        wait_until(lambda line=line: line in shared.output, what=line)


def test_a_hook_that_fails_after_the_restore_is_a_snap_start_exception(client: Any) -> None:
    publish(client, "fails", FAILS)
    assert error_of(client.invoke, FunctionName="fails", Qualifier="1") == (
        400,
        "SnapStartException",
        "The afterRestore() runtime hook encountered an error. For more information, check the Amazon CloudWatch logs.",
    )


def test_what_aws_does_not_offer_with_it_is_refused(client: Any) -> None:
    create(client, "old", HOOKS)
    update = client.update_function_configuration
    assert error_of(update, FunctionName="old", SnapStart=ON) == (
        400,
        "InvalidParameterValueException",
        "python3.11 is not supported for SnapStart enabled functions.",
    )
    large = error_of(update, FunctionName="old", Runtime="python3.13", SnapStart=ON, EphemeralStorage={"Size": 1024})
    assert large[:2] == (400, "InvalidParameterValueException")
