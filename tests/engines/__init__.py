"""Runs tests that name no engine with another engine than the default."""
