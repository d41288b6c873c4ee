"""Queries of records: filters, plans and answers. Pure."""
