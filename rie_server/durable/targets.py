"""What the CHAINED_INVOKEs of a checkpoint invoke: looked up before anything is written.

Thread-safe; never blocks. A target that cannot be invoked fails its operation; one in another account or region is not
allowed at all.
"""

from collections.abc import Mapping, Sequence

from rie_server.errors import InvalidParameterValueException, LambdaError
from rie_server.model.arn import FunctionArn, parse_function_reference
from rie_server.model.durable_answers import refused
from rie_server.model.durable_checks import Update
from rie_server.model.durable_execution import OperationType
from rie_server.model.durable_life import check_startable
from rie_server.model.durable_updates import ChainedTarget
from rie_server.model.request_id import new_request_id
from rie_server.ports import FunctionCatalog


def chained_targets(
    catalog: FunctionCatalog, caller: FunctionArn, updates: Sequence[Update]
) -> Mapping[str, ChainedTarget]:
    """By the ids of the operations.

    Raises:
        InvalidParameterValueException: a function of another account or region.
    """
    return {
        update["Id"]: _target(catalog, caller, update["ChainedInvokeOptions"]["FunctionName"])
        for update in updates
        if update["Type"] == OperationType.CHAINED_INVOKE and "ChainedInvokeOptions" in update
    }


def _target(catalog: FunctionCatalog, caller: FunctionArn, name: str) -> ChainedTarget:
    parts = name.split(":")
    if name.startswith("arn:") and parts[3] != caller.region:
        raise InvalidParameterValueException("Cannot start a CHAINED_INVOKE on a function in another region.")
    function = parse_function_reference(name, qualifier=None, region=caller.region, account=caller.account)
    if function.account != caller.account:
        raise InvalidParameterValueException("Cannot start a CHAINED_INVOKE on a function in another account.")
    try:
        version = catalog.resolve(function)
        if version.durable is not None:
            check_startable(version.durable, qualifier=function.qualifier, waits=False)
    except LambdaError as refusal:
        return ChainedTarget(function=function, error=refused(refusal))
    return ChainedTarget(
        function=function,
        version=version.version,
        config=version.durable,
        name=new_request_id(),
        execution_id=new_request_id(),
    )
