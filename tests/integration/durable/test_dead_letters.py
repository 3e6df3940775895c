"""What becomes of an event whose durable execution has failed."""

import json
from collections.abc import Callable

from tests.conftest import wait_until
from tests.integration.durable.conftest import DurableServer, workflow
from tests.servers.moto import ACCOUNT, REGION, MotoServer


def test_a_failed_event_goes_to_the_dead_letter_queue_of_the_durable_function(
    start_durable: Callable[..., DurableServer],
) -> None:
    with MotoServer() as moto:
        durable = start_durable(environ=moto.environ, region=REGION, account_id=ACCOUNT)
        durable.create(
            "fails",
            workflow('raise ValueError("sold out")'),
            DeadLetterConfig={"TargetArn": moto.create_queue("dead")},
        )
        arn = durable.start("fails", {"order": 7})
        durable.wait(arn, "FAILED")

        (letter,) = wait_until(lambda: moto.messages("dead"), seconds=30, what="the dead letter")

        assert json.loads(letter["Body"]) == {"order": 7}
        assert letter["MessageAttributes"]["ErrorMessage"]["StringValue"] == "sold out"
