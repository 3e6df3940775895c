"""The Runtime API, 2018-06-01: what runs inside an execution environment calls these four paths."""
