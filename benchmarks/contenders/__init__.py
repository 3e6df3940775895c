"""Those who are measured: each module starts one kind as child processes and hands out a ``Contender``."""
