"""Bringing in the executions that Coze Studio keeps in its own database."""
