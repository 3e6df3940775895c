"""STAGE, synchronous: from an accepted request to a runtime's answer.

``front_controller`` admits, ``fleet`` places by the books of ``roster``, ``supervisor`` starts and buries
environments, ``mailbox`` is where an invocation and a runtime meet.
"""
