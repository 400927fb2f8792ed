"""Markdown, as the room below writes it."""

from baselines.markdown import code, escape, table

__all__ = ["code", "escape", "table"]
