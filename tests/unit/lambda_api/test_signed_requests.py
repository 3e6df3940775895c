"""Signature Version 4, from the side of somebody who wants in without having signed what is carried out."""

from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from rie_server.api.authentication import Authentication
from rie_server.api.exchange import HotRoute, Reply, Request
from rie_server.api.lambda_api.authorization import Authorization
from rie_server.api.lambda_api.rendering import request_scope
from rie_server.api.lambda_api.router import LambdaApi
from rie_server.clock.system import SystemClock
from rie_server.config import Settings
from rie_server.errors import LambdaError
from rie_server.model.caller import AccessKey, access_keys

KEYS = (("OWNER", "own", ""), ("FAR", "far", "111111111111"))
SETTINGS = Settings(auth="iam", access_keys=KEYS)
HOST = "localhost:9000"
PATH = "/2015-03-31/functions/f/invocations"


def authentication(**more: AccessKey) -> Authentication:
    keys = {**access_keys(KEYS, SETTINGS.account_id), **more}
    return Authentication(access_keys=keys, clock=SystemClock())


def authorization() -> Authorization:
    return Authorization(authentication=authentication(), policy=lambda _: None, settings=SETTINGS)


def received(target: str, headers: dict[str, str], *, method: str = "POST", body: bytes = b"{}") -> Request:
    path, _, query = target.partition("?")
    return Request(method, path, query, headers, body, None, raw_path=path)  # type: ignore[arg-type]


def signed(
    target: str, *, key: tuple[str, str] = ("OWNER", "own"), region: str = "us-east-1", **headers: str
) -> Request:
    given_headers = {"host": HOST, **{name.replace("_", "-"): value for name, value in headers.items()}}
    request = AWSRequest(method="POST", url=f"http://{HOST}{target}", data=b"{}", headers=given_headers)
    SigV4Auth(Credentials(*key), "lambda", region).add_auth(request)
    return received(target, {name.lower(): value for name, value in request.headers.items()})


def presigned(target: str, *, key: tuple[str, str] = ("OWNER", "own"), expires_seconds: int = 60) -> str:
    """The target of a presigned URL."""
    request = AWSRequest(method="GET", url=f"http://{HOST}{target}", headers={"host": HOST})
    SigV4QueryAuth(Credentials(*key), "lambda", "us-east-1", expires=expires_seconds).add_auth(request)
    address = urlsplit(request.url)
    return f"{address.path}?{address.query}"


def outcome(request: Request) -> str:
    """Who is let in, or the code of what is said."""
    try:
        return authentication().caller(request).access_key
    except LambdaError as refused:
        return refused.code


def called(target: str) -> str:
    return outcome(received(target, {"host": HOST}, method="GET", body=b""))


@pytest.mark.parametrize(
    "target", [PATH, f"{PATH}?Qualifier=1", "/a%20b/%C3%A9?x=%2F&x=a+b&y", "//a//b/", "/a/../b?", "/?a=1&&b=2&"]
)
def test_what_botocore_signs_is_right(target: str) -> None:
    assert outcome(signed(target)) == "OWNER"


def test_a_presigned_url_is_right_wherever_its_signature_stands() -> None:
    target = presigned("/2015-03-31/functions/f?Qualifier=1")
    path, _, query = target.partition("?")
    parameters = query.split("&")
    assert called(target) == "OWNER"
    assert called(f"{path}?{'&'.join([parameters[-1], *parameters[:-1]])}") == "OWNER"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Qualifier=1", "Qualifier=2"),
        ("Qualifier=1", "Qualifier=1X-Amz-Signature=2"),
        ("Qualifier=1", "Qualifier=1&Qualifier=2"),
        ("Qualifier=1", "Qualifier=1#"),
        ("Qualifier=1", "Qualifier=1%23"),
        ("/f?", "/g?"),
        ("/f?", "/f#g?"),
        ("Expires=60", "Expires=600"),
        ("/us-east-1/", "/eu-west-1/"),
        ("%2Fus-east-1%2F", "%2Feu-west-1%2F"),
    ],
)
def test_nothing_of_a_presigned_url_can_be_changed(old: str, new: str) -> None:
    target = presigned("/2015-03-31/functions/f?Qualifier=1")
    changed = target.replace(old, new)
    if changed != target:
        assert called(changed) == "InvalidSignatureException"


def test_nothing_can_be_added_behind_a_number_sign() -> None:
    target = presigned("/2015-03-31/functions/f")
    assert called(f"{target}#&Qualifier=2") == "InvalidSignatureException"
    request = signed(PATH)
    request.query = "#Qualifier=2"
    assert outcome(request) == "InvalidSignatureException"


def test_a_presigned_url_is_good_for_a_week_at_most() -> None:
    assert called(presigned("/x", expires_seconds=604800)) == "OWNER"
    assert called(presigned("/x", expires_seconds=604801)) == "InvalidSignatureException"


def test_a_header_that_lambda_heeds_must_be_signed() -> None:
    name = "x-amz-invocation-type"
    assert outcome(signed(PATH, x_amz_invocation_type="Event")) == "OWNER"
    request = signed(PATH)
    request.headers[name] = "Event"
    assert outcome(request) == "AccessDeniedException"
    added = received(presigned("/x"), {"host": HOST, name: "Event"}, method="GET", body=b"")
    assert outcome(added) == "AccessDeniedException"


def test_a_host_that_is_no_host_is_refused_and_no_fault() -> None:
    for host in ("[x.localhost", "a/b?c.localhost", "a#.localhost", "", "x@y"):
        request = signed(PATH)
        request.headers["host"] = host
        assert outcome(request) == "InvalidSignatureException"


def test_the_key_of_a_session_that_is_over_opens_nothing() -> None:
    caller = access_keys(KEYS, "0" * 12)["OWNER"].caller
    request = signed(PATH, key=("OWNER", "own"))
    over = authentication(OWNER=AccessKey(secret="own", caller=caller, expires_at=1.0))
    with pytest.raises(LambdaError) as refused:
        over.caller(request)
    assert (refused.value.code, refused.value.status) == ("ExpiredTokenException", 403)


@pytest.mark.parametrize(
    "lie", ["x-Credential=000000000000/20260101/eu-west-1/lambda/aws4_request, ", "x-Credential=OWNER/1/2/3/4, "]
)
def test_an_operation_goes_by_the_account_that_has_signed_and_by_no_other_that_is_named(lie: str) -> None:
    request = signed(PATH, key=("FAR", "far"))
    request.headers["authorization"] = request.headers["authorization"].replace(" ", f" {lie}", 1)
    authorization().check(request, "ListFunctions", None, None)
    assert request_scope(request, SETTINGS) == ("us-east-1", "111111111111")
    target = presigned("/x?A=X-Amz-Credential=OWNER/20260101/eu-west-1/lambda/aws4_request", key=("FAR", "far"))
    request = received(target, {"host": HOST}, method="GET", body=b"")
    authorization().check(request, "ListFunctions", None, None)
    assert request_scope(request, SETTINGS) == ("us-east-1", "111111111111")


@pytest.mark.parametrize("path", ["/2015-03-31/functions/a/b/invocations", "/2015-03-31/functions///invocations"])
def test_a_path_of_no_operation_reaches_no_hot_one_without_a_signature(path: str) -> None:
    api = LambdaApi(
        registry=None, mappings=None, durable=None, settings=SETTINGS, authorization=authorization()  # type: ignore[arg-type]
    )  # fmt: skip
    route = HotRoute(
        listener="lambda", method="POST", prefix="/2015-03-31/functions/", suffix="/invocations",
        operation=lambda _: Reply(200),
    )  # fmt: skip
    reply = api.guarded(route).operation(received(path, {"host": HOST}))
    assert isinstance(reply, Reply)
    assert reply.status in (403, 404)


_WORDS = st.sampled_from(
    ["AWS4-HMAC-SHA256", "Credential=", "OWNER/20260101/us-east-1/lambda/aws4_request", "Signature=", "SignedHeaders=",
     "host;x-amz-date", ",", " ", "=", "/", "&", "X-Amz-Signature=", "X-Amz-Credential=", "X-Amz-Algorithm=",
     "X-Amz-Expires=", "X-Amz-Date=", "X-Amz-SignedHeaders=", "#", "%", "[", "20260101T000000Z"]
)  # fmt: skip
_TEXT = st.lists(_WORDS | st.text(st.characters(max_codepoint=255), max_size=4), max_size=14).map("".join)


@given(
    headers=st.dictionaries(st.sampled_from(["authorization", "host", "x-amz-date"]), _TEXT), query=_TEXT, path=_TEXT
)
def test_whatever_is_sent_is_refused_in_aws_s_words(headers: dict[str, str], query: str, path: str) -> None:
    request: Any = Request("POST", f"/{path}", query, headers, b"", None)  # type: ignore[arg-type]
    with pytest.raises(LambdaError):
        authentication().caller(request)
