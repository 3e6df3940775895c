"""STAGE, synchronous: from an accepted request to a runtime's answer.

``front_controller`` admits, ``fleet`` places, ``supervisor`` starts and buries environments, ``mailbox`` is where an
invocation and a runtime meet.
"""
