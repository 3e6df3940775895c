"""Stage, event source mappings: polls the sources and hands batches of their records to functions."""
