"""STAGE: durable executions. It begins them, invokes their functions whenever something is due, and ends them."""
