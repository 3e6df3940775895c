"""Tenant isolation with real runtimes, synchronously and through the queue."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import RieServer, wait_until
from tests.integration.invoke.deploying import create, error_of, invoke
from tests.unit.invoke.test_tenants import ENABLED, NOT_ENABLED

SOURCE = """
    import json, os
    SEEN = []
    def handler(event, context):
        SEEN.append(context.tenant_id)
        if event and "file" in event:
            with open(event["file"], "w") as file:
                json.dump(SEEN, file)
        return {"pid": os.getpid(), "seen": SEEN}
"""


@pytest.fixture(scope="module")
def tenants(client: Any) -> Any:
    create(client, "tenants", SOURCE, TenancyConfig={"TenantIsolationMode": "PER_TENANT"})
    create(client, "everybody", SOURCE)
    return client


def test_two_tenants_see_nothing_of_one_another(tenants: Any) -> None:
    blue = [invoke(tenants, "tenants", TenantId="blue").payload for _ in range(2)]
    green = invoke(tenants, "tenants", TenantId="green").payload
    assert blue[0]["pid"] == blue[1]["pid"] != green["pid"]
    assert (blue[1]["seen"], green["seen"]) == (["blue", "blue"], ["green"])


def test_an_event_keeps_its_tenant_on_its_way_through_the_queue(tenants: Any, tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    seen = tmp_path / "seen"
    payload = json.dumps({"file": str(seen)}).encode()
    tenants.invoke(FunctionName="tenants", InvocationType="Event", TenantId="queued", Payload=payload)
    wait_until(seen.exists, what="the event to run")
    wait_until(lambda: seen.read_text() == '["queued"]', what="the file to be written")


@pytest.mark.parametrize("invocation_type", ["RequestResponse", "Event", "DryRun"])
def test_a_tenant_that_is_missing_or_not_wanted_is_refused_at_once(tenants: Any, invocation_type: str) -> None:
    missing = error_of(tenants.invoke, FunctionName="tenants", InvocationType=invocation_type)
    assert missing == (400, "InvalidParameterValueException", ENABLED)
    unwanted = error_of(tenants.invoke, FunctionName="everybody", InvocationType=invocation_type, TenantId="blue")
    assert unwanted == (400, "InvalidParameterValueException", NOT_ENABLED)


def test_the_configuration_is_shown_and_excludes_what_starts_environments_ahead(
    shared: RieServer, tenants: Any
) -> None:
    shown = tenants.get_function_configuration(FunctionName="tenants")
    assert shown["TenancyConfig"] == {"TenantIsolationMode": "PER_TENANT"}
    tenants.publish_version(FunctionName="tenants")
    ahead = error_of(
        tenants.put_provisioned_concurrency_config,
        FunctionName="tenants",
        Qualifier="1",
        ProvisionedConcurrentExecutions=1,
    )
    assert ahead[:2] == (400, "InvalidParameterValueException")
    url = error_of(tenants.create_function_url_config, FunctionName="tenants", AuthType="NONE")
    assert url[:2] == (400, "InvalidParameterValueException")
    snap = error_of(
        tenants.update_function_configuration, FunctionName="tenants", SnapStart={"ApplyOn": "PublishedVersions"}
    )
    assert snap[:2] == (400, "InvalidParameterValueException")
