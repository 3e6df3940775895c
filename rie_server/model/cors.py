"""The CORS rules of a function URL.

Pure. Where a URL has rules, AWS answers preflights itself and its headers take the place of the function's own.
"""

from collections.abc import Mapping
from typing import Any

Headers = tuple[tuple[str, str], ...]


def cors_headers(cors: Mapping[str, Any], origin: str) -> Headers:
    """What the response to a request from ``origin`` carries; nothing where the rules do not let it in."""
    origins = cors.get("AllowOrigins") or ()
    if origin.lower() in {one.lower() for one in origins}:
        allowed = origin
    elif "*" in origins:
        # A wildcard does not go with credentials, so the origin itself is named.
        allowed = origin if cors.get("AllowCredentials") else "*"
    else:
        return ()
    headers = [("Access-Control-Allow-Origin", allowed)]
    if cors.get("AllowCredentials"):
        headers.append(("Access-Control-Allow-Credentials", "true"))
    if cors.get("ExposeHeaders"):
        headers.append(("Access-Control-Expose-Headers", ",".join(cors["ExposeHeaders"])))
    if allowed != "*":
        headers.append(("Vary", "Origin"))
    return tuple(headers)


def preflight_headers(cors: Mapping[str, Any], origin: str, method: str, wanted: str) -> Headers:
    """What the answer to a preflight carries, besides status 200 and no body.

    Args:
        method: ``Access-Control-Request-Method``.
        wanted: ``Access-Control-Request-Headers``.
    """
    headers = list(cors_headers(cors, origin))
    methods = [one.upper() for one in cors.get("AllowMethods") or ()]
    if not headers or not ("*" in methods or method.upper() in methods):
        return ()
    headers.append(("Access-Control-Allow-Methods", method.upper() if "*" in methods else ",".join(methods)))
    names = cors.get("AllowHeaders") or ()
    if "*" in names and wanted:
        headers.append(("Access-Control-Allow-Headers", wanted))
    elif names and "*" not in names:
        headers.append(("Access-Control-Allow-Headers", ",".join(names)))
    if cors.get("MaxAge") is not None:
        headers.append(("Access-Control-Max-Age", str(cors["MaxAge"])))
    return tuple(headers)


def without_cors(headers: Headers) -> Headers:
    """A function's own CORS headers do not count where its URL has rules."""
    return tuple((name, value) for name, value in headers if not name.lower().startswith("access-control-"))
