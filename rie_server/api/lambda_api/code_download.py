"""Where ``Code.Location`` of GetFunction leads: the zip itself.

The path names the content, so a link stays right for as long as the function has this code. AWS signs its links; here
whoever reaches this API may read every function anyway.
"""

from rie_server.api.exchange import Reply
from rie_server.errors import ResourceNotFoundException
from rie_server.model.function_record import CodeReference
from rie_server.registry.code_keeping import code_token
from rie_server.registry.functions import FunctionRegistry

PREFIX = "/_rie/code/"


def code_path(code: CodeReference) -> str:
    """The path of ``code``; of no use for an image."""
    return layer_path(code.sha256) if code.package_type == "Zip" else ""


def layer_path(sha256: str) -> str:
    """The path of a zip by its digest."""
    return f"{PREFIX}{code_token(sha256)}"


def download(registry: FunctionRegistry, path: str, request_id: str) -> Reply:
    """The zip that ``path`` names.

    Raises:
        ResourceNotFoundException: no function has this code now.
    """
    content = registry.read_code(path.removeprefix(PREFIX))
    if content is None:
        raise ResourceNotFoundException("No function has this code.")
    return Reply(200, (("Content-Type", "application/zip"), ("x-amzn-RequestId", request_id)), content)
