"""Thirty days of varied runs of workflows that do not exist, to look at everything with."""
