"""What an event source mapping reads from, as far as rules differ.

Pure data. Amazon MSK and self-managed Kafka follow the same rules, as do ActiveMQ and RabbitMQ.
"""

from enum import StrEnum


class EventSourceKind(StrEnum):
    SQS = "sqs"
    KINESIS = "kinesis"
    DYNAMODB = "dynamodb"
    KAFKA = "kafka"
    MQ = "mq"
    DOCUMENTDB = "documentdb"
