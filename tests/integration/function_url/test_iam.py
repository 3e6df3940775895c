"""``RIE_AUTH=iam``: signed requests, resource policies, and function URLs of AuthType AWS_IAM."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from tests.conftest import RieServer
from tests.integration.invoke.deploying import create

OWNER, FOREIGNER, S3 = ("OWNER", "own/+secret="), ("FOREIGNER", "far"), ("S3KEY", "bucket")
ARN = "arn:aws:lambda:us-east-1:000000000000:function:f"
ECHO = "def handler(event, context): return event"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RieServer]:
    keys = "OWNER=own/+secret=,FOREIGNER=far@111111111111,S3KEY=bucket@s3.amazonaws.com"
    server = RieServer(tmp_path_factory.mktemp("rie"), auth="iam", access_keys=keys)
    server.wait_ready()
    create(client_of(server), "f", ECHO, Publish=True)
    yield server
    server.stop()


def client_of(server: RieServer, key: tuple[str, str] = OWNER, **config: Any) -> Any:
    return boto3.client(
        "lambda",
        endpoint_url=server.url,
        region_name="us-east-1",
        aws_access_key_id=key[0],
        aws_secret_access_key=key[1],
        config=Config(retries={"max_attempts": 0}, **config),
    )


def signed(
    url: str,
    key: tuple[str, str],
    *,
    method: str = "POST",
    body: bytes = b"{}",
    at: datetime | None = None,
    **headers: str,
) -> requests.Response:
    """A request signed with botocore, at another time if that is said; changed headers are not signed anew."""
    request = AWSRequest(method=method, url=url, data=body, headers={"host": urlsplit(url).netloc, **headers})
    signer = SigV4Auth(Credentials(*key), "lambda", "us-east-1")
    if at is None:
        signer.add_auth(request)
    else:
        request.context["timestamp"] = f"{at:%Y%m%dT%H%M%SZ}"
        request.headers["X-Amz-Date"] = request.context["timestamp"]
        signature = signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)
        names = signer.signed_headers(signer.headers_to_sign(request))
        scope = signer.scope(request)
        request.headers["Authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders={names}, Signature={signature}"
        )
    return requests.post(url, data=b"{}", headers=dict(request.headers), timeout=20)


def refused(call: Any) -> tuple[int, str, str]:
    with pytest.raises(ClientError) as caught:
        call()
    answer = caught.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"], answer["Error"]["Message"]


def test_the_owner_s_signature_opens_every_operation(server: RieServer) -> None:
    owner = client_of(server)
    assert owner.get_function(FunctionName=ARN)["Configuration"]["FunctionArn"] == ARN
    assert owner.invoke(FunctionName="f", Payload=b'{"a": "\xc3\xa9"}')["Payload"].read() == b'{"a": "\\u00e9"}'
    assert owner.invoke(FunctionName=f"{ARN}:1", Qualifier="1", LogType="Tail", Payload=b"[]")["StatusCode"] == 200
    assert owner.invoke(FunctionName="f", InvocationType="Event", Payload=b"{}")["StatusCode"] == 202


def test_a_presigned_url_is_good_for_as_long_as_it_says(server: RieServer) -> None:
    owner = client_of(server)
    url = owner.generate_presigned_url("get_function", {"FunctionName": ARN}, ExpiresIn=60)
    assert requests.get(url, timeout=20).status_code == 200
    wrong = requests.get(url.replace("X-Amz-Expires=60", "X-Amz-Expires=600"), timeout=20)
    assert (wrong.status_code, wrong.headers["x-amzn-ErrorType"]) == (403, "InvalidSignatureException")


@pytest.mark.parametrize(
    "path", ["/2015-03-31/functions/f/invocations", "/2015-03-31/functions/f", "/2014-11-13/functions/f/invoke-async/"]
)
def test_nobody_is_let_in_without_a_signature(server: RieServer, path: str) -> None:
    method = "GET" if path.endswith("/f") else "POST"
    reply = requests.request(method, f"{server.url}{path}", data=b"{}", timeout=20)
    assert reply.status_code == 403
    assert reply.headers["x-amzn-ErrorType"] == "MissingAuthenticationTokenException"
    assert reply.json() == {"message": "Missing Authentication Token"}


def test_unknown_keys_and_wrong_secrets_get_aws_s_words(server: RieServer) -> None:
    unknown = refused(lambda: client_of(server, ("NOBODY", "x")).list_functions())
    assert unknown == (403, "UnrecognizedClientException", "The security token included in the request is invalid.")
    status, code, message = refused(lambda: client_of(server, ("OWNER", "wrong")).invoke(FunctionName="f"))
    assert (status, code) == (403, "InvalidSignatureException")
    assert message.startswith("The request signature we calculated does not match the signature you provided.")


def test_a_changed_body_is_noticed(server: RieServer) -> None:
    request = AWSRequest(method="POST", url=f"{server.url}/2015-03-31/functions/f/invocations", data=b"{}")
    SigV4Auth(Credentials(*OWNER), "lambda", "us-east-1").add_auth(request)
    reply = requests.post(request.url, data=b'{"more": 1}', headers=dict(request.headers), timeout=20)
    assert (reply.status_code, reply.headers["x-amzn-ErrorType"]) == (403, "InvalidSignatureException")


@pytest.mark.parametrize(("minutes", "words"), [(-6, "Signature expired: "), (6, "Signature not yet current: ")])
def test_signatures_of_another_time_are_refused(server: RieServer, minutes: int, words: str) -> None:
    at = datetime.now(UTC) + timedelta(minutes=minutes)
    reply = signed(f"{server.url}/2015-03-31/functions/f/invocations", OWNER, at=at)
    assert (reply.status_code, reply.headers["x-amzn-ErrorType"]) == (403, "InvalidSignatureException")
    assert reply.json()["message"].startswith(f"{words}{at:%Y%m%dT%H%M%SZ} is ")


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Basic abc",
        "AWS4-HMAC-SHA256",
        "AWS4-HMAC-SHA256 Credential=OWNER",
        "AWS4-HMAC-SHA256 Credential=a,Signature=,=",
    ],
)
def test_half_a_signature_is_told_so(server: RieServer, authorization: str) -> None:
    reply = requests.get(f"{server.url}/2015-03-31/functions/f", headers={"Authorization": authorization}, timeout=20)
    assert (reply.status_code, reply.headers["x-amzn-ErrorType"]) == (403, "IncompleteSignatureException")


def test_a_signature_for_another_service_is_refused(server: RieServer) -> None:
    request = AWSRequest(method="GET", url=f"{server.url}/2015-03-31/functions/f")
    SigV4Auth(Credentials(*OWNER), "s3", "us-east-1").add_auth(request)
    reply = requests.get(request.url, headers=dict(request.headers), timeout=20)
    assert reply.status_code == 403
    assert reply.json() == {"message": "Credential should be scoped to correct service: 'lambda'. "}


def test_another_account_needs_the_policy_of_the_very_version(server: RieServer) -> None:
    owner, foreigner = client_of(server), client_of(server, FOREIGNER)
    status, code, message = refused(lambda: foreigner.invoke(FunctionName=ARN))
    assert (status, code) == (403, "AccessDeniedException")
    assert message == (
        "User: arn:aws:iam::111111111111:user/FOREIGNER is not authorized to perform: lambda:InvokeFunction on "
        f"resource: {ARN} because no resource-based policy allows the lambda:InvokeFunction action"
    )
    statement = {"Action": "lambda:InvokeFunction", "Principal": "111111111111", "StatementId": "far"}
    owner.add_permission(FunctionName="f", **statement)
    assert foreigner.invoke(FunctionName=ARN)["StatusCode"] == 200
    assert refused(lambda: foreigner.invoke(FunctionName=f"{ARN}:1"))[1] == "AccessDeniedException"
    assert refused(lambda: foreigner.get_function(FunctionName=ARN))[1] == "AccessDeniedException"
    # Its own world is empty, and open to it.
    assert foreigner.list_functions()["Functions"] == []
    owner.remove_permission(FunctionName="f", StatementId="far")
    assert refused(lambda: foreigner.invoke(FunctionName=ARN))[1] == "AccessDeniedException"


def test_a_service_is_let_in_for_its_own_resources(server: RieServer) -> None:
    owner, path = client_of(server), f"{server.url}/2015-03-31/functions/{ARN}/invocations"
    owner.add_permission(
        FunctionName="f", StatementId="bucket", Action="lambda:InvokeFunction", Principal="s3.amazonaws.com",
        SourceArn="arn:aws:s3:::photos*", SourceAccount="000000000000",
    )  # fmt: skip
    mine = {"X-Amz-Source-Arn": "arn:aws:s3:::photos-2026", "X-Amz-Source-Account": "000000000000"}
    assert signed(path, S3, **mine).status_code == 200
    assert signed(path, S3, **{**mine, "X-Amz-Source-Arn": "arn:aws:s3:::films"}).status_code == 403
    assert signed(path, S3).status_code == 403
    assert signed(path, FOREIGNER, **mine).status_code == 403
    owner.remove_permission(FunctionName="f", StatementId="bucket")


def url_call(server: RieServer, address: str, key: tuple[str, str] | None) -> requests.Response:
    """Calls a function URL as a client whose resolver knows no names under ``localhost``."""
    host = urlsplit(address).netloc
    request = AWSRequest(method="POST", url=f"http://{host}/a%20b?x=1", data=b"{}", headers={"host": host})
    if key is not None:
        SigV4Auth(Credentials(*key), "lambda", "us-east-1").add_auth(request)
    return requests.post(f"{server.url}/a%20b?x=1", data=b"{}", headers=dict(request.headers), timeout=20)


def test_a_url_of_type_aws_iam_takes_signed_requests_alone(server: RieServer) -> None:
    owner = client_of(server)
    address = owner.create_function_url_config(FunctionName="f", AuthType="AWS_IAM")["FunctionUrl"]
    event = url_call(server, address, OWNER).json()
    assert event["requestContext"]["accountId"] == "000000000000"
    assert event["requestContext"]["authorizer"]["iam"]["userArn"] == "arn:aws:iam::000000000000:user/OWNER"
    assert event["requestContext"]["authorizer"]["iam"]["accessKey"] == "OWNER"
    anonymous = url_call(server, address, None)
    assert (anonymous.status_code, anonymous.json()) == (403, {"Message": "Forbidden"})
    wrong = url_call(server, address, ("OWNER", "wrong"))
    assert (wrong.status_code, wrong.json()["Message"][:21]) == (403, "The request signature")
    assert url_call(server, address, FOREIGNER).json() == {"Message": "Forbidden"}
    owner.add_permission(
        FunctionName="f", StatementId="url", Action="lambda:InvokeFunctionUrl", Principal="111111111111",
        FunctionUrlAuthType="AWS_IAM",
    )  # fmt: skip
    assert url_call(server, address, FOREIGNER).status_code == 200
    owner.remove_permission(FunctionName="f", StatementId="url")
    owner.delete_function_url_config(FunctionName="f")


def test_a_url_of_type_none_needs_a_policy_that_opens_it(server: RieServer) -> None:
    owner = client_of(server)
    address = owner.create_function_url_config(FunctionName="f", AuthType="NONE")["FunctionUrl"]
    assert url_call(server, address, None).status_code == 403
    owner.add_permission(
        FunctionName="f",
        StatementId="open",
        Action="lambda:InvokeFunctionUrl",
        Principal="*",
        FunctionUrlAuthType="NONE",
    )
    assert url_call(server, address, None).json()["requestContext"]["accountId"] == "anonymous"


def test_the_server_s_own_paths_stay_open(server: RieServer) -> None:
    assert json.loads(requests.get(f"{server.url}/_rie/health", timeout=20).content) == {"status": "ok"}


def test_what_names_a_function_elsewhere_than_in_its_path_is_refused_to_other_accounts(server: RieServer) -> None:
    foreigner = client_of(server, FOREIGNER)
    queue = "arn:aws:sqs:us-east-1:111111111111:q"
    assert refused(lambda: foreigner.list_tags(Resource=ARN))[1] == "AccessDeniedException"
    assert refused(lambda: foreigner.get_resource_policy(ResourceArn=ARN))[1] == "AccessDeniedException"
    assert refused(lambda: foreigner.create_event_source_mapping(FunctionName=ARN, EventSourceArn=queue))[1] == (
        "AccessDeniedException"
    )


def test_a_second_qualifier_does_not_reach_what_the_first_one_is_not(server: RieServer) -> None:
    owner = client_of(server)
    statement = {"Action": "lambda:GetFunction", "Principal": "111111111111", "StatementId": "first"}
    owner.add_permission(FunctionName="f", Qualifier="1", **statement)
    url = f"{server.url}/2015-03-31/functions/{ARN}?Qualifier=1&Qualifier=%24LATEST"
    request = AWSRequest(method="GET", url=url)
    SigV4Auth(Credentials(*FOREIGNER), "lambda", "us-east-1").add_auth(request)
    reply = requests.get(url, headers=dict(request.headers), timeout=20)
    assert (reply.status_code, reply.json()["Configuration"]["Version"]) == (200, "1")
    owner.remove_permission(FunctionName="f", Qualifier="1", StatementId="first")
