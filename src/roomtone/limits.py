"""What one collector's token may do: so many posts a minute, so many sessions. Bounded memory."""

from array import array
from collections import OrderedDict
from typing import Final

MINUTE_MS: Final = 60_000
TOKENS_MAX: Final = 10_000
_HASH_MASK: Final = 2**64 - 1


class _Use:
    """One token's minute, the posts in it, and hashes of the sessions that it has named."""

    __slots__ = ("posts", "sessions", "since_ms")

    def __init__(self) -> None:
        self.since_ms = 0
        self.posts = 0
        self.sessions = array("Q")


class CollectorUse:
    """What each token did, of those that were used last. Organisations' tokens never come here.

    A page holds a collector's token, so anybody in the page's meeting may read it there and use it
    with a program. It is kept in memory alone: a restart begins anew.
    """

    def __init__(self, *, posts_max: int, sessions_max: int) -> None:
        self._posts_max = posts_max
        self._sessions_max = sessions_max
        self._uses: OrderedDict[bytes, _Use] = OrderedDict()

    def wait_ms(self, token_hash: bytes, now_ms: int) -> int:
        """0 and a post of the token is noted, or how long to wait."""
        use = self._use(token_hash)
        if not 0 <= now_ms - use.since_ms < MINUTE_MS:
            use.since_ms, use.posts = now_ms, 0
        if use.posts >= self._posts_max:
            return use.since_ms + MINUTE_MS - now_ms
        use.posts += 1
        return 0

    def admits(self, token_hash: bytes, session_id: str) -> bool:
        """Whether the token may post to this session, which is noted; one that it knows it may."""
        sessions = self._use(token_hash).sessions
        name = hash(session_id) & _HASH_MASK
        if name in sessions:
            return True
        if len(sessions) >= self._sessions_max:
            return False
        sessions.append(name)
        return True

    def _use(self, token_hash: bytes) -> _Use:
        use = self._uses.get(token_hash)
        if use is None:
            use = self._uses[token_hash] = _Use()
            if len(self._uses) > TOKENS_MAX:
                self._uses.popitem(last=False)
        else:
            self._uses.move_to_end(token_hash)
        return use
