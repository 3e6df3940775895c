"""Fails in each of the ways a function can; ``{"how": ...}`` chooses one."""

import ctypes
import os
import sys


class OutOfStockError(Exception):
    pass


def handler(event, context):
    how = event.get("how", "raise")
    print(f"About to fail: {how}")
    if how == "raise":
        raise OutOfStockError("There is no tea left")
    if how == "exit":
        sys.exit(event.get("status", 1))
    if how == "die":
        os._exit(event.get("status", 1))
    if how == "crash":
        ctypes.string_at(0)
    if how == "memory":
        hoard = []
        while True:
            hoard.append(bytearray(10_000_000))
    if how == "hang":
        while True:
            pass
    if how == "unserializable":
        return {"result": object()}
    return {"how": how, "failed": False}
