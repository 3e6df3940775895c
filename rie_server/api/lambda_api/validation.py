"""AWS's constraints and the grammar in which AWS reports them.

Pure. All violations of a request are collected into one ValidationException. The runtime is special, as in AWS: an
unknown one is an InvalidParameterValueException and is reported only when nothing else is wrong.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from rie_server.api.lambda_api.service_model import Operation, ServiceModel, Shape, compiled
from rie_server.errors import InvalidParameterValueException, ValidationException
from rie_server.model.runtimes import DEPRECATED_RUNTIMES

_LENGTHS = ("string", "list", "map")


def check_input(model: ServiceModel, operation: Operation, members: Mapping[str, Any]) -> None:
    """Lets ``members`` pass if the model allows them.

    Raises:
        ValidationException: ``N validation errors detected: ...``.
        InvalidParameterValueException: a runtime that does not exist.
    """
    if operation.input_shape is None:
        return
    shape = model.shape(operation.input_shape)
    violations = list(_structure(model, shape, members, ""))
    if violations:
        plural = "" if len(violations) == 1 else "s"
        raise ValidationException(f"{len(violations)} validation error{plural} detected: {'; '.join(violations)}")
    for member in shape.members.values():
        if member.name == "Runtime" and member.name in members:
            _check_runtime(model.shape("Runtime"), members[member.name])


def _check_runtime(shape: Shape, runtime: str) -> None:
    if runtime not in shape.choices:
        accepted = ", ".join(choice for choice in shape.choices if choice not in DEPRECATED_RUNTIMES)
        raise InvalidParameterValueException(
            f"Value {runtime} at 'runtime' failed to satisfy constraint: "
            f"Member must satisfy enum value set: [{accepted}] or be a valid ARN"
        )


def _structure(model: ServiceModel, shape: Shape, members: Mapping[str, Any], path: str) -> Iterator[str]:
    for member in shape.members.values():
        member_path = f"{path}{member.name[:1].lower()}{member.name[1:]}"
        value = members.get(member.name)
        if value is None:
            if member.name in shape.required:
                yield _violation(None, member_path, "Member must not be null")
        else:
            yield from _value(model, model.shape(member.shape), value, member_path)
            if member.shape == "Runtime" and member.name != "Runtime":
                yield from _runtimes(model, [value], value, member_path)


def _runtimes(model: ServiceModel, runtimes: list[str], value: Any, path: str) -> Iterator[str]:
    """Where a runtime is not a function's own, an unknown one is refused like any other value."""
    choices = model.shape("Runtime").choices
    if any(runtime not in choices for runtime in runtimes):
        yield _violation(value, path, f"Member must satisfy enum value set: [{', '.join(choices)}]")


def _value(model: ServiceModel, shape: Shape, value: Any, path: str) -> Iterator[str]:
    if shape.kind == "structure":
        yield from _structure(model, shape, value, f"{path}.")
        return
    for constraint, holds in _constraints(shape, value):
        if not holds:
            yield _violation(value, path, constraint, sensitive=shape.sensitive)
    if shape.kind == "list":
        yield from _list(model, shape, value, path)
    elif shape.kind == "map":
        yield from _map(model, shape, value, path)


def _list(model: ServiceModel, shape: Shape, items: list[Any], path: str) -> Iterator[str]:
    element = model.shape(shape.element)
    if element.name == "Runtime":
        yield from _runtimes(model, items, items, path)
    elif element.kind == "structure":
        for number, item in enumerate(items, start=1):
            yield from _value(model, element, item or {}, f"{path}.{number}.member")
    elif not all(_allowed(element, item) for item in items):
        constraint = f"Member must satisfy constraint: [{_all_constraints(element)}]"
        yield _violation(items, path, constraint, sensitive=shape.sensitive or element.sensitive)


def _map(model: ServiceModel, shape: Shape, entries: Mapping[str, Any], path: str) -> Iterator[str]:
    key_shape, value_shape = model.shape(shape.key), model.shape(shape.element)
    sensitive = shape.sensitive or value_shape.sensitive
    if not all(_allowed(key_shape, key) for key in entries):
        constraint = f"Map keys must satisfy constraint: [{_all_constraints(key_shape)}]"
        yield _violation(entries, path, constraint, sensitive=sensitive)
    if not all(_allowed(value_shape, value) for value in entries.values()):
        constraint = f"Map value must satisfy constraint: [{_all_constraints(value_shape)}]"
        yield _violation(entries, path, constraint, sensitive=sensitive)


def _constraints(shape: Shape, value: Any) -> Iterator[tuple[str, bool]]:
    """Each constraint of ``shape`` in AWS's words, and whether ``value`` keeps it; a None value keeps none."""
    known = value is not None
    if shape.kind in _LENGTHS:
        what, size = "length", len(value) if known else 0
    else:
        what, size = "value", value if known and shape.kind != "blob" else 0
    if shape.maximum is not None:
        words = f"Member must have {what} less than or equal to {shape.maximum}"
        yield words, known and size <= shape.maximum
    if shape.minimum is not None:
        words = f"Member must have {what} greater than or equal to {shape.minimum}"
        yield words, known and size >= shape.minimum
    if shape.pattern is not None:
        words = f"Member must satisfy regular expression pattern: {shape.pattern}"
        yield words, known and compiled(shape.pattern).fullmatch(value) is not None
    if shape.choices and shape.name != "Runtime":
        yield f"Member must satisfy enum value set: [{', '.join(shape.choices)}]", known and value in shape.choices


def _allowed(shape: Shape, value: Any) -> bool:
    return value is not None and all(holds for _, holds in _constraints(shape, value))


def _all_constraints(shape: Shape) -> str:
    return ", ".join([*(words for words, _ in _constraints(shape, None)), "Member must not be null"])


def _violation(value: Any, path: str, constraint: str, *, sensitive: bool = False) -> str:
    if value is None:
        shown = "Value null at"
    elif sensitive:
        shown = "Value at"
    else:
        shown = f"Value '{_shown(value)}' at"
    return f"{shown} '{path}' failed to satisfy constraint: {constraint}"


def _shown(value: Any) -> str:
    """``value`` as Java prints it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return f"[{', '.join(_shown(item) for item in value)}]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}={_shown(item)}" for key, item in value.items()) + "}"
    return "null" if value is None else str(value)
