"""Website health monitor: checks websites and keeps every result."""
