"""Shared by the command line and the page: values as text, time zones, sentences. Pure."""
