"""A meeting as it is now, for those who watch it: what is made once is told to all of them.

`state` makes what there is to know of a meeting out of its sessions, `follow` keeps its findings
apart from one look to the next, `changes` says what became different, and those three are pure.
`channel` is one stream of events with its watchers, `watched` one meeting that is looked at again
and again, `hub` all of them.
"""

from roomtone.live.channel import Chunk, Watcher
from roomtone.live.hub import Hub
from roomtone.live.state import LiveParticipant, State

__all__ = ["Chunk", "Hub", "LiveParticipant", "State", "Watcher"]
