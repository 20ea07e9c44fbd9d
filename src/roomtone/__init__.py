"""Roomtone: how each meeting really sounded and looked, and why."""

from importlib.metadata import version

__version__ = version("roomtone")
