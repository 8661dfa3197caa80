"""Servers that tests share; each plugin module owns one kind."""

pytest_plugins = ["tests.postgres", "tests.stream", "tests.broker", "tests.program", "tests.sites"]
