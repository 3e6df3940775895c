"""Mappings to Kafka through boto3, a running server, awslambdaric and a real cluster."""

import base64
import json
import urllib.request
from collections.abc import Callable
from typing import Any

from aws_lambda_powertools.utilities.data_classes import KafkaEvent
from aws_lambda_powertools.utilities.parser.models import KafkaMskEventModel, KafkaSelfManagedEventModel

from tests.conftest import RieServer, wait_until
from tests.integration.event_sources.kafka_mappings import (
    ARN,
    Notes,
    create_mapping,
    deploy,
    is_in_order,
    new_topic,
    wait_for_result,
)
from tests.servers.kafka import KafkaServer
from tests.servers.moto import MotoServer
from tests.servers.schema_registry import SchemaRegistryServer, framed

Serve = Callable[..., RieServer]


def _described(server: RieServer) -> Any:
    with urllib.request.urlopen(f"{server.url}/_rie/mappings", timeout=10) as reply:
        return json.loads(reply.read())["mappings"][0]


def test_an_event_of_self_managed_kafka_is_aws_to_the_letter(kafka: KafkaServer, serve: Serve, notes: Notes) -> None:
    client, topic = serve().client(), new_topic()
    kafka.create_topic(topic)
    kafka.produce(
        topic,
        [
            {"key": b"k", "value": b'{"a":1}', "headers": [("h", b"\x00\xff")], "timestamp": 1_545_084_650_987},
            {"value": "ü"},
            {"key": b"gone", "value": None},
        ],
    )
    create_mapping(client, deploy(client, notes), topic, kafka.plaintext)

    (event,) = wait_until(notes.events, seconds=20)

    assert {name: event[name] for name in event if name != "records"} == {
        "eventSource": "SelfManagedKafka",
        "bootstrapServers": kafka.plaintext,
    }
    ((lane, (first, second, tombstone)),) = event["records"].items()
    assert lane == f"{topic}-0"
    assert first == {
        "topic": topic,
        "partition": 0,
        "offset": 0,
        "timestamp": 1_545_084_650_987,
        "timestampType": "CREATE_TIME",
        "key": base64.b64encode(b"k").decode(),
        "value": base64.b64encode(b'{"a":1}').decode(),
        "headers": [{"h": [0, -1]}],
    }
    assert "key" not in second
    assert base64.b64decode(second["value"]).decode() == "ü"
    assert second["headers"] == []
    assert "value" not in tombstone
    del event["records"][lane][2]
    assert KafkaSelfManagedEventModel.model_validate(json.loads(json.dumps(event)))
    assert next(KafkaEvent(event).records).json_value == {"a": 1}


def test_an_msk_cluster_is_found_by_the_setting_and_named_in_the_event(
    kafka: KafkaServer, serve: Serve, notes: Notes
) -> None:
    client, topic = serve(msk_bootstrap_servers=f"{ARN}={kafka.plaintext};{kafka.plaintext}").client(), new_topic()
    kafka.create_topic(topic)
    kafka.produce(topic, [{"value": b"1"}])
    mapping = create_mapping(client, deploy(client, notes), topic, None)

    (event,) = wait_until(notes.events, seconds=20)

    assert (event["eventSource"], event["eventSourceArn"]) == ("aws:kafka", ARN)
    assert event["bootstrapServers"] == f"{kafka.plaintext},{kafka.plaintext}"
    assert KafkaMskEventModel.model_validate(event)
    wait_until(lambda: kafka.committed(mapping, topic) == [1], what="the offset in the group named by the UUID")
    assert wait_for_result(client, mapping, "OK") == "OK"


def test_every_partition_keeps_its_order_and_offsets_are_written_after_success(
    kafka: KafkaServer, serve: Serve, notes: Notes
) -> None:
    server, topic = serve(), new_topic()
    client = server.client()
    kafka.create_topic(topic, 3)
    kafka.produce(topic, [{"value": str(number), "partition": number % 3} for number in range(1500)])
    group = {"SelfManagedKafkaEventSourceConfig": {"ConsumerGroupId": f"group-{topic}"}}
    create_mapping(client, deploy(client, notes), topic, kafka.plaintext, BatchSize=200, **group)

    wait_until(lambda: notes.distinct() == 1500, seconds=30, what="all records")

    assert notes.offsets() == {f"{topic}-{number}": list(range(500)) for number in range(3)}
    wait_until(lambda: _described(server)["backlog"] == 0, what="the backlog to be counted")
    assert (_described(server)["partitions"], _described(server)["counts"]["polled"]) == (3, 1500)
    wait_until(lambda: kafka.committed(f"group-{topic}", topic, 3) == [500] * 3, what="the offsets")
    assert all(len(records) <= 200 for event in notes.events() for records in event["records"].values())


def test_records_that_no_filter_matches_are_passed_over(kafka: KafkaServer, serve: Serve, notes: Notes) -> None:
    client, topic = serve().client(), new_topic()
    kafka.create_topic(topic)
    kafka.produce(topic, [{"value": json.dumps({"n": number}), "key": b"k"} for number in range(10)])
    pattern = json.dumps({"value": {"n": [{"numeric": [">", 2, "<=", 4]}]}, "key": ["k"]})
    mapping = create_mapping(
        client,
        deploy(client, notes),
        topic,
        kafka.plaintext,
        FilterCriteria={"Filters": [{"Pattern": pattern}]},
    )

    wait_until(lambda: kafka.committed(mapping, topic) == [10], seconds=20, what="the end of the topic")

    assert notes.offsets() == {f"{topic}-0": [3, 4]}


def test_a_start_at_the_latest_record_is_kept_over_a_restart(kafka: KafkaServer, serve: Serve, notes: Notes) -> None:
    server = serve()
    client, topic = server.client(), new_topic()
    kafka.create_topic(topic)
    kafka.produce(topic, [{"value": b"before"}] * 5)
    deploy(client, notes)
    mapping = create_mapping(client, "notes", topic, kafka.plaintext, StartingPosition="LATEST")
    wait_until(lambda: kafka.committed(mapping, topic) == [5], seconds=20, what="the starting position")

    server.stop()
    kafka.produce(topic, [{"value": b"meanwhile"}] * 2)
    server.restart()

    wait_until(lambda: notes.offsets() == {f"{topic}-0": [5, 6]}, seconds=20, what="what came meanwhile")


def test_a_start_at_a_timestamp_begins_with_the_first_record_of_that_time(
    kafka: KafkaServer, serve: Serve, notes: Notes
) -> None:
    client, topic = serve().client(), new_topic()
    kafka.create_topic(topic)
    start = 1_700_000_000
    kafka.produce(topic, [{"value": b"x", "timestamp": (start + number) * 1000} for number in range(-3, 3)])
    create_mapping(
        client,
        deploy(client, notes),
        topic,
        kafka.plaintext,
        StartingPosition="AT_TIMESTAMP",
        StartingPositionTimestamp=start,
    )

    wait_until(lambda: notes.offsets() == {f"{topic}-0": [3, 4, 5]}, seconds=20, what="the records from then on")


def test_a_partial_batch_response_repeats_from_the_first_failure(
    kafka: KafkaServer, serve: Serve, notes: Notes
) -> None:
    client, topic = serve().client(), new_topic()
    kafka.create_topic(topic)
    kafka.produce(topic, [{"value": str(number)} for number in range(6)])
    source = (
        notes.source
        + """
        ((lane, records),) = event["records"].items()
        if records[0]["offset"] == 0:
            return {"batchItemFailures": [{"itemIdentifier": {"partition": lane, "offset": 4}}]}
"""
    )
    mapping = create_mapping(
        client,
        deploy(client, notes, source),
        topic,
        kafka.plaintext,
        FunctionResponseTypes=["ReportBatchItemFailures"],
    )

    wait_until(lambda: kafka.committed(mapping, topic) == [6], seconds=20, what="the offset")

    assert notes.offsets() == {f"{topic}-0": [0, 1, 2, 3, 4, 5, 4, 5]}


def test_records_that_are_given_up_go_to_a_topic_of_the_same_cluster(
    kafka: KafkaServer, serve: Serve, notes: Notes
) -> None:
    client, topic, failed = serve().client(), new_topic(), new_topic()
    kafka.create_topic(topic)
    kafka.create_topic(failed)
    kafka.produce(topic, [{"value": b"good"}, {"value": b"bad", "key": b"k"}, {"value": b"good"}])
    source = (
        notes.source
        + """
        import base64
        for records in event["records"].values():
            assert all(base64.b64decode(record["value"]) == b"good" for record in records)
"""
    )
    mapping = create_mapping(
        client,
        deploy(client, notes, source),
        topic,
        kafka.plaintext,
        MaximumRetryAttempts=0,
        BisectBatchOnFunctionError=True,
        ProvisionedPollerConfig={"MinimumPollers": 1, "MaximumPollers": 1},
        DestinationConfig={"OnFailure": {"Destination": f"kafka://{failed}"}},
    )

    wait_until(lambda: kafka.committed(mapping, topic) == [3], seconds=20, what="the offset")

    (body,) = kafka.values(failed, 1)
    record = json.loads(body or b"")
    assert record["requestContext"]["condition"] == "RetryAttemptsExhausted"
    assert record["KafkaBatchInfo"]["recordInfo"]["offset"] == "1"
    assert record["payload"]["records"][f"{topic}-0"][0]["value"] == base64.b64encode(b"bad").decode()


def test_records_that_are_given_up_go_to_queues_topics_and_buckets(
    kafka: KafkaServer, serve: Serve, notes: Notes
) -> None:
    source = notes.source + '        raise ValueError("never")\n'
    with MotoServer() as moto:
        client = serve(environ=moto.environ, region="eu-west-1").client()
        deploy(client, notes, source)
        targets = [moto.create_queue("failed"), moto.create_topic("told"), moto.create_bucket("failed")]
        for number, target in enumerate(targets):
            topic = new_topic()
            kafka.create_topic(topic)
            kafka.produce(topic, [{"value": b"1"}, {"value": b"2"}])
            mapping = create_mapping(
                client,
                "notes",
                topic,
                kafka.plaintext,
                MaximumRetryAttempts=0,
                ProvisionedPollerConfig={"MinimumPollers": 1, "MaximumPollers": 2},
                DestinationConfig={"OnFailure": {"Destination": target}},
            )
            wait_until(lambda: kafka.committed(mapping, topic) == [2], seconds=20, what="the offset")  # noqa: B023
            if number < 2:
                (message,) = moto.messages(("failed", "told")[number])
                assert json.loads(message["Body"])["KafkaBatchInfo"]["batchSize"] == 2
            else:
                ((key, body),) = moto.objects("failed").items()
                assert key.startswith(f"aws/lambda/{mapping}/{topic}-0/20")
                assert len(json.loads(json.loads(body)["payload"])["records"][f"{topic}-0"]) == 2


def test_a_topic_that_is_made_after_all_is_polled_without_a_restart(
    kafka: KafkaServer, serve: Serve, notes: Notes
) -> None:
    client, topic = serve().client(), new_topic()
    mapping = create_mapping(client, deploy(client, notes), topic, kafka.plaintext)
    wait_for_result(client, mapping, "PROBLEM: Topic does not exist")

    kafka.create_topic(topic)
    kafka.produce(topic, [{"value": b"1"}])

    wait_until(notes.events, seconds=30, what="the record")
    wait_for_result(client, mapping, "OK")


def test_a_topic_that_is_deleted_is_told_and_polled_again_from_its_beginning_once_it_is_back(
    kafka: KafkaServer, serve: Serve, notes: Notes
) -> None:
    client, topic = serve().client(), new_topic()
    kafka.create_topic(topic)
    kafka.produce(topic, [{"value": b"old"}] * 5)
    mapping = create_mapping(client, deploy(client, notes), topic, kafka.plaintext)
    wait_until(lambda: kafka.committed(mapping, topic) == [5], seconds=20, what="the first records")

    kafka.delete_topic(topic)
    wait_for_result(client, mapping, "PROBLEM: Topic does not exist", seconds=30)
    kafka.create_topic(topic)
    kafka.produce(topic, [{"value": b"new"}] * 2)

    wait_until(lambda: len(notes.events()) > 1, seconds=40, what="the records of the new topic")
    assert notes.offsets() == {f"{topic}-0": [0, 1, 2, 3, 4, 0, 1]}
    wait_for_result(client, mapping, "OK")


def test_a_password_that_is_put_right_counts_without_a_restart(kafka: KafkaServer, serve: Serve, notes: Notes) -> None:
    with MotoServer() as moto:
        secrets = moto.client("secretsmanager")
        secret = secrets.create_secret(Name="kafka", SecretString='{"username":"alice","password":"wrong"}')["ARN"]
        client, topic = serve(environ=moto.environ, region="eu-west-1").client(), new_topic()
        kafka.create_topic(topic)
        kafka.produce(topic, [{"value": b"1"}])
        access = [{"Type": "BASIC_AUTH", "URI": secret}]
        mapping = create_mapping(client, deploy(client, notes), topic, kafka.sasl, SourceAccessConfigurations=access)
        wait_for_result(client, mapping, "PROBLEM: SASL authentication failed")

        secrets.put_secret_value(SecretId=secret, SecretString='{"username":"alice","password":"alice-secret"}')

        wait_until(notes.events, seconds=30, what="the record")
        wait_for_result(client, mapping, "OK")


def test_a_cluster_that_is_not_there_is_a_problem_and_no_more(serve: Serve, notes: Notes) -> None:
    server = serve()
    client = server.client()
    mapping = create_mapping(client, deploy(client, notes), "orders", "127.0.0.1:9")
    told = wait_for_result(client, mapping, "PROBLEM: Connection error.")
    assert "127.0.0.1:9" in told
    assert "Traceback" not in server.output


def test_a_broker_that_comes_back_is_read_on_from(serve: Serve, notes: Notes) -> None:
    with KafkaServer() as kafka:
        client, topic = serve().client(), new_topic()
        kafka.create_topic(topic)
        kafka.produce(topic, [{"value": b"1"}] * 10)
        mapping = create_mapping(client, deploy(client, notes), topic, kafka.plaintext)
        wait_until(lambda: notes.distinct() == 10, seconds=20, what="the first records")

        kafka.kill()
        wait_for_result(client, mapping, "PROBLEM: Connection error.")
        kafka.start()
        kafka.produce(topic, [{"value": b"2"}] * 10)

        wait_until(lambda: notes.distinct() == 20, seconds=60, what="the records after the restart")
        assert is_in_order(notes.offsets()[f"{topic}-0"])
        wait_for_result(client, mapping, "OK")


def test_records_that_do_not_follow_their_schema_go_the_way_of_failures(
    kafka: KafkaServer, serve: Serve, notes: Notes
) -> None:
    client, topic, failed = serve().client(), new_topic(), new_topic()
    kafka.create_topic(topic)
    kafka.create_topic(failed)
    with SchemaRegistryServer() as registry:
        schema_id = registry.add({"type": "object", "required": ["id"]}, "JSON")
        values = [b'{"id":1}', b'{"no":2}', b'{"id":3}']
        kafka.produce(topic, [{"value": framed(schema_id, value)} for value in values])
        mapping = create_mapping(
            client,
            deploy(client, notes),
            topic,
            kafka.plaintext,
            ProvisionedPollerConfig={"MinimumPollers": 1, "MaximumPollers": 1},
            DestinationConfig={"OnFailure": {"Destination": f"kafka://{failed}"}},
            FilterCriteria={"Filters": [{"Pattern": json.dumps({"value": {"id": [{"exists": True}]}})}]},
            SelfManagedKafkaEventSourceConfig={
                "SchemaRegistryConfig": {
                    "SchemaRegistryURI": registry.url,
                    "EventRecordFormat": "JSON",
                    "SchemaValidationConfigs": [{"Attribute": "VALUE"}],
                }
            },
        )
        wait_until(lambda: kafka.committed(mapping, topic) == [3], seconds=20, what="the offset")

    records = [record for event in notes.events() for record in event["records"][f"{topic}-0"]]
    assert [record["value"] for record in records] == ['{"id":1}', '{"id":3}']
    assert records[0]["valueSchemaMetadata"] == {"dataFormat": "JSON", "schemaId": str(schema_id)}
    (body,) = kafka.values(failed, 1)
    record = json.loads(body or b"")
    assert record["KafkaBatchInfo"]["recordInfo"]["offset"] == "1"
    assert (
        record["payload"]["records"][f"{topic}-0"][0]["value"]
        == base64.b64encode(framed(schema_id, values[1])).decode()
    )


def test_provisioned_pollers_join_while_partitions_wait(kafka: KafkaServer, serve: Serve, notes: Notes) -> None:
    server, topic, partitions = serve(), new_topic(), 4
    client = server.client()
    kafka.create_topic(topic, partitions)
    kafka.produce(topic, [{"value": b"x", "partition": number % partitions} for number in range(40)])
    deploy(client, notes, notes.source + "        time.sleep(0.4)\n")
    pollers = {"MinimumPollers": 1, "MaximumPollers": 2}
    mapping = create_mapping(client, "notes", topic, kafka.plaintext, BatchSize=1, ProvisionedPollerConfig=pollers)

    seen: list[int] = []

    def look() -> bool:
        seen.append(_described(server)["pollers"])
        return sum(max(0, offset) for offset in kafka.committed(mapping, topic, partitions)) == 40

    wait_until(look, seconds=40, what="all records")
    assert max(seen) == 2
    assert seen.index(2) > seen.index(1)
