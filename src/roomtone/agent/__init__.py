"""The native agent: what a browser cannot read of the computer that it runs on, CPU above all."""

from roomtone.agent.computer import describe
from roomtone.agent.intervals import Intervals, Reading
from roomtone.agent.loop import Agent, Whom
from roomtone.agent.meter import Meter

__all__ = ["Agent", "Intervals", "Meter", "Reading", "Whom", "describe"]
