"""Providers: where replies come from."""
