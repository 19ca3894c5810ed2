"""Optimizers for models whose tables have sparse gradients."""

from .adam import Adam

__all__ = ["Adam"]
