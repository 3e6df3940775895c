"""Plain frozen data and pure rules. Nothing here does I/O, starts a thread or knows HTTP."""
