"""Where asynchronous events come in: acknowledged once they are durable.

Never blocks. Thread-safe.
"""

from rie_server.api.exchange import Deferred, Reply, Request
from rie_server.api.lambda_api.invoke_input import trace_header
from rie_server.api.lambda_api.rendering import error_reply
from rie_server.errors import ServiceException
from rie_server.model.arn import FunctionArn
from rie_server.model.invocation import InvokeRequest
from rie_server.ports import Clock, EventQueue


def queue_event(
    events: EventQueue, clock: Clock, request: Request, function: FunctionArn, *, payload: bytes, accepted: Reply
) -> Deferred:
    """Queues an event, and answers ``accepted`` when it cannot be lost any more."""
    request_id = dict(accepted.headers)["x-amzn-RequestId"]
    event = InvokeRequest(
        function=function,
        payload=payload,
        request_id=request_id,
        trace_header=trace_header(request, clock),
        tenant_id=request.headers.get("x-amz-tenant-id"),
    )
    deferred = Deferred(request.connection)

    def durable(trouble: Exception | None) -> None:
        if trouble is None:
            deferred.complete(accepted)
        else:
            deferred.complete(error_reply(ServiceException("The event could not be stored."), request_id))

    events.submit(event, durable)
    return deferred
