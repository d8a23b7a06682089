"""Frozen values: what the engine takes, keeps and gives back."""
