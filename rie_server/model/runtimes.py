"""Which runtimes may still be used for new functions.

Pure data. Which runtimes *exist* is the service model's knowledge; which of them this machine can run, the executor's.
"""

from typing import Final

from rie_server.errors import InvalidParameterValueException

# Runtimes for which AWS has ended creation and update of functions.
DEPRECATED_RUNTIMES: Final = frozenset(
    {
        "nodejs",
        "nodejs4.3",
        "nodejs4.3-edge",
        "nodejs6.10",
        "nodejs8.10",
        "nodejs10.x",
        "nodejs12.x",
        "nodejs14.x",
        "nodejs16.x",
        "python2.7",
        "python3.6",
        "python3.7",
        "ruby2.5",
        "ruby2.7",
        "java8",
        "go1.x",
        "dotnetcore1.0",
        "dotnetcore2.0",
        "dotnetcore2.1",
        "dotnetcore3.1",
        "provided",
    }
)


def check_not_deprecated(runtime: str) -> None:
    """Lets every runtime pass that AWS still accepts.

    Raises:
        InvalidParameterValueException: AWS's words for a runtime that has been retired.
    """
    if runtime in DEPRECATED_RUNTIMES:
        raise InvalidParameterValueException(
            f"The runtime parameter of {runtime} is no longer supported for creating or updating AWS Lambda functions. "
            "We recommend you use a supported runtime while creating or updating functions."
        )
