"""STAGE, the control plane: which functions there are and where their lives stand."""
