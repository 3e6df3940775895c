"""Greets whoever the event names."""

import os


def handler(event, context):
    name = event.get("name", "world")
    print(f"Greeting {name}")
    return {"message": f"{os.environ.get('GREETING', 'Hello')}, {name}!", "requestId": context.aws_request_id}
