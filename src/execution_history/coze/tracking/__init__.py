"""Runs that go on upstream after their call has ended."""
