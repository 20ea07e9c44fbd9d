"""Watch an aiortc peer connection: its statistics, put right, go to Roomtone as raw reports."""

from roomtone.aiortc.stats import report_of
from roomtone.aiortc.watcher import Watcher, watch

__all__ = ["Watcher", "report_of", "watch"]
