"""ADAPTERS: where the records of asynchronous events go. SQS, SNS, EventBridge and S3 by their APIs, functions by the
queue of this server; ``dispatch`` chooses by the target's ARN.
"""
