"""Takes its time and says so; watch it with ``rie logs slow --follow``."""

import time


def handler(event, context):
    seconds = event.get("seconds", 2)
    step_seconds = min(0.5, seconds)
    started = time.monotonic()
    while (elapsed := time.monotonic() - started) < seconds:
        print(f"{elapsed:.1f} s gone, {context.get_remaining_time_in_millis() / 1000:.1f} s left", flush=True)
        time.sleep(min(step_seconds, seconds - elapsed))
    return {"seconds": seconds}
