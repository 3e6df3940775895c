"""The HTTP front of function URLs: any request to a function's own host name becomes an invocation.

A URL is known by its host name (``ID.lambda-url.REGION.localhost``) or, where names under ``localhost`` mean another
machine, by the path form ``/_rie/urls/ID/...``. Never blocks. Thread-safe.
"""

import json
from collections.abc import Callable
from functools import partial

from rie_server.api.exchange import JSON, Deferred, Reply, Request
from rie_server.api.function_url.permission import Permission
from rie_server.api.function_url.streamed import StreamedAnswer
from rie_server.errors import LambdaError, TooManyRequestsException
from rie_server.limits import SYNC_PAYLOAD_BYTES
from rie_server.model.arn import FunctionArn
from rie_server.model.caller import Caller
from rie_server.model.cors import cors_headers, preflight_headers, without_cors
from rie_server.model.function_url import PATH_FORM, FunctionUrl, InvokeMode, domain_name, url_id_of_host
from rie_server.model.http_event import HttpAnswer, HttpCall, UnreadableResultError, http_answer, http_event
from rie_server.model.invocation import InvokeRequest, InvokeResult
from rie_server.model.request_id import new_request_id, random_digits
from rie_server.model.tracing import is_trace_header, new_trace_header
from rie_server.ports import Clock
from rie_server.streaming import StreamingInvoker

Headers = tuple[tuple[str, str], ...]


class FunctionUrlFront:
    """
    Args:
        find: the function or alias behind a URL's id, and the URL; None where there is none.
    """

    def __init__(
        self,
        *,
        find: Callable[[str], tuple[FunctionArn, FunctionUrl] | None],
        permission: Permission,
        invoker: StreamingInvoker,
        clock: Clock,
    ) -> None:
        self._find = find
        self._permission = permission
        self._invoker = invoker
        self._clock = clock

    def owns(self, request: Request, host: str) -> bool:
        """Whether a request is to a function URL and not to the Lambda API."""
        return url_id_of_host(host) is not None or request.path.startswith(PATH_FORM)

    def __call__(self, request: Request) -> Reply | Deferred:
        url_id = url_id_of_host(request.headers.get("host", ""))
        raw_path = request.raw_path
        if url_id is None:
            url_id, slash, rest = raw_path[len(PATH_FORM) :].partition("/")
            raw_path = f"{slash}{rest}" or "/"
        found = self._find(url_id)
        if found is None:
            return _message(404, "Not Found")
        function, url = found
        origin = request.headers.get("origin")
        if url.cors and origin is not None and _is_preflight(request):
            asked = request.headers
            wanted = asked.get("access-control-request-headers", "")
            method = asked["access-control-request-method"]
            return Reply(200, preflight_headers(url.cors, origin, method, wanted))
        cors = cors_headers(url.cors, origin) if url.cors and origin is not None else ()
        try:
            caller = self._permission.caller(request, function, url)
            return self._invoke(request, function, url, raw_path, caller, cors)
        except LambdaError as error:
            return _refused(error, cors)

    def _invoke(
        self,
        request: Request,
        function: FunctionArn,
        url: FunctionUrl,
        raw_path: str,
        caller: Caller | None,
        cors: Headers,
    ) -> Reply | Deferred:
        now, request_id = self._clock.now(), new_request_id()
        trace = request.headers.get("x-amzn-trace-id", "")
        if not is_trace_header(trace):
            trace = new_trace_header(now, random_digits())
        call = HttpCall(
            url_id=url.url_id,
            domain_name=domain_name(url.url_id, function.region),
            method=request.method,
            raw_path=raw_path,
            raw_query=request.query,
            headers=request.headers,
            body=request.body,
            source_ip=request.connection.peer_address,
            port=request.connection.local_address[1],
            trace_header=trace,
            account="anonymous" if caller is None else caller.account,
            authorizer=None if caller is None else _authorizer(caller),
        )
        event = json.dumps(http_event(call, request_id=request_id, now=now), separators=(",", ":")).encode()
        if request.body_bytes > len(request.body) or len(event) > SYNC_PAYLOAD_BYTES:
            return _message(413, "Request Entity Too Large", cors)
        deferred = Deferred(request.connection)
        invoke_request = InvokeRequest(function=function, payload=event, request_id=request_id, trace_header=trace)
        finished = partial(_finished, own=(("x-amzn-RequestId", request_id), *cors), replaces_cors=bool(url.cors))
        if url.invoke_mode is InvokeMode.RESPONSE_STREAM:
            answer = StreamedAnswer(deferred, finished=finished, failed=partial(_whole, finished))
            self._invoker.invoke(invoke_request, answer.complete, answer)
        else:
            self._invoker.invoke(invoke_request, lambda result: deferred.complete(_whole(finished, result)))
        return deferred


def _finished(headers: Headers, *, own: Headers, replaces_cors: bool) -> Headers:
    """The headers of a reply out of the function's."""
    return (*(without_cors(headers) if replaces_cors else headers), *own)


def _whole(finished: Callable[[Headers], Headers], result: InvokeResult) -> Reply:
    """The reply that a result means, in one piece."""
    if result.refusal is not None:
        return _refused(result.refusal, finished(()))
    try:
        answer = _failed() if result.function_error is not None else http_answer(result.payload)
    except UnreadableResultError:
        answer = _failed()
    return Reply(answer.status, finished(answer.headers), answer.body)


def _failed() -> HttpAnswer:
    """The function failed, or its result is no response: why stands in its log."""
    return HttpAnswer(status=502, headers=(("Content-Type", JSON),), body=b"Internal Server Error")


def _is_preflight(request: Request) -> bool:
    return request.method == "OPTIONS" and "access-control-request-method" in request.headers


def _authorizer(caller: Caller) -> dict[str, object]:
    return {
        "iam": {
            "accessKey": caller.access_key,
            "accountId": caller.account,
            "callerId": caller.access_key,
            "cognitoIdentity": None,
            "principalOrgId": None,
            "userArn": caller.arn,
            "userId": caller.access_key,
        }
    }


def _refused(error: LambdaError, cors: Headers) -> Reply:
    """AWS's front says little: 429 where the function is throttled, 403 where the call is not allowed, else 502."""
    if isinstance(error, TooManyRequestsException):
        return _message(429, error.message, cors)
    if error.status == 403:
        return _message(403, error.message, cors)
    failed = _failed()
    return Reply(failed.status, (*failed.headers, *cors), failed.body)


def _message(status: int, message: str, cors: Headers = ()) -> Reply:
    body = json.dumps({"Message": message}, separators=(",", ":")).encode()
    return Reply(status, (("Content-Type", JSON), *cors), body)
