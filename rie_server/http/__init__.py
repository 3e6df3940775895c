"""HTTP on an event loop: a gunicorn worker of our own on uvloop and httptools, and what starts it."""
