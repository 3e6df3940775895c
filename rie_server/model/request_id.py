"""Request ids, and randomness for them in bulk: one call to the kernel serves hundreds of requests.

Thread-safe. A child of a fork begins with randomness of its own.
"""

import os

_VARIANTS = "89ab"
_BYTES = 16
_AT_ONCE = 256

_pool: list[str] = []
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.clear)


def random_digits() -> str:
    """32 random hexadecimal digits."""
    try:
        return _pool.pop()
    except IndexError:
        digits = os.urandom(_BYTES * _AT_ONCE).hex()
        size = 2 * _BYTES
        _pool.extend(digits[start : start + size] for start in range(size, len(digits), size))
        return digits[:size]


def new_request_id() -> str:
    """A random UUID as text, several times faster than by way of ``uuid.UUID``: every request needs one."""
    digits = random_digits()
    variant = _VARIANTS[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"
