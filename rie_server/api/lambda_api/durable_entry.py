"""Where events for durable functions come in: acknowledged once the execution that they begin is durable.

Never blocks. Thread-safe.
"""

from rie_server.api.exchange import JSON, Deferred, Reply, Request
from rie_server.api.lambda_api.invoke_input import event_payload, trace_header
from rie_server.api.lambda_api.rendering import error_reply
from rie_server.durable.starting import DurableStarts
from rie_server.errors import InvalidParameterValueException, LambdaError, ServiceException
from rie_server.limits import ASYNC_PAYLOAD_BYTES
from rie_server.model.arn import FunctionArn
from rie_server.model.durable_execution import DurableExecution
from rie_server.model.function import FunctionVersion
from rie_server.model.invocation import InvocationType, InvokeRequest
from rie_server.ports import Clock


def start_execution(
    starts: DurableStarts, clock: Clock, request: Request, called: tuple[FunctionArn, FunctionVersion], request_id: str
) -> Deferred:
    """Begins an execution, or finds the one of that name; the reply has its ARN.

    Args:
        called: the function as the caller named it, and the version that runs.

    Raises:
        LambdaError: it cannot begin.
    """
    function, version = called
    event = InvokeRequest(
        function=function,
        payload=event_payload(request.body, ASYNC_PAYLOAD_BYTES, InvocationType.EVENT),
        request_id=request_id,
        trace_header=trace_header(request, clock),
        tenant_id=request.headers.get("x-amz-tenant-id"),
        durable_execution_name=request.headers.get("x-amz-durable-execution-name"),
    )
    deferred = Deferred(request.connection)

    def started(execution: DurableExecution | None, refusal: LambdaError | None) -> None:
        if execution is None:
            trouble = refusal or ServiceException("The execution could not be stored.")
            deferred.complete(error_reply(trouble, request_id))
            return
        headers = (
            ("Content-Type", JSON),
            ("x-amzn-Remapped-Content-Length", "0"),
            ("x-amzn-RequestId", request_id),
            ("X-Amz-Durable-Execution-Arn", str(execution.arn)),
        )
        deferred.complete(Reply(202, headers))

    starts.start(version, event, started)
    return deferred


def check_named(version: FunctionVersion) -> None:
    """Whether an execution of it can have a name.

    Raises:
        InvalidParameterValueException: the function is not durable.
    """
    if version.durable is None:
        raise InvalidParameterValueException(
            "You cannot provide a durable execution name for a function that is not durable."
        )
