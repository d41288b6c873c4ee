"""Coze's wire: requests, answers, streams and histories. Pure: bytes and values in, values and bytes out."""
