"""Bounded memories: finished answers, when a meeting was last asked for, recent test calls."""

import gzip
import hashlib
from collections import OrderedDict, deque
from typing import Final, NamedTuple

import zstandard

COMPRESS_BYTES_MIN: Final = 1_024
GZIP_LEVEL: Final = 6
ZSTD_LEVEL: Final = 6
CALLS_MAX: Final = 10_000
TAG_DIGITS: Final = 32

RawHeaders = list[tuple[bytes, bytes]]


class AnswerKey(NamedTuple):
    """What an answer about a meeting depends on; a changed meeting has a new version.

    `view` tells what is asked of the meeting, "" for its media sessions; `revision` is that of the
    organisation's settings where they matter.
    """

    org: str
    meeting: str
    version: int
    offset: int = 0
    limit: int = 0
    anonymous: bool = False
    view: str = ""
    revision: int = 0


class Answer:
    """A finished body with its strong ETag; each encoding is made once, when asked for.

    `head` and `head_unchanged` are a response's headers in ASGI's form, ready but for `Link`.
    """

    def __init__(self, body: bytes, *, more: bool) -> None:
        self.body = body
        self.more = more
        self.tag = hashlib.sha256(body).hexdigest()[:TAG_DIGITS]
        self._encoded: dict[str, bytes] = {"": body}
        self._heads: dict[str, tuple[RawHeaders, RawHeaders]] = {}

    def has(self, encoding: str) -> bool:
        """Whether the body in this encoding is at hand."""
        return encoding in self._encoded

    def encoded(self, encoding: str) -> bytes:
        """The body in `gzip`, `zstd` or "" (as it is)."""
        body = self._encoded.get(encoding)
        if body is None:
            body = self._encoded[encoding] = encode(self.body, encoding)
        return body

    def etag(self, encoding: str) -> str:
        """A strong ETag: other bytes, another tag (RFC 9110, 8.8.3)."""
        return f'"{self.tag}-{encoding}"' if encoding else f'"{self.tag}"'

    def head(self, encoding: str) -> RawHeaders:
        """The headers that go with the body in this encoding; the caller's to add to."""
        return list(self._both_heads(encoding)[0])

    def head_unchanged(self, encoding: str) -> RawHeaders:
        """The headers of 304; the caller's to add to."""
        return list(self._both_heads(encoding)[1])

    def _both_heads(self, encoding: str) -> tuple[RawHeaders, RawHeaders]:
        heads = self._heads.get(encoding)
        if heads is None:
            unchanged = [
                (b"etag", self.etag(encoding).encode()),
                (b"vary", b"Accept-Encoding, Authorization"),
                (b"cache-control", b"private, no-cache"),
            ]
            length = str(len(self.encoded(encoding))).encode()
            whole = [(b"content-type", b"application/json"), (b"content-length", length)]
            if encoding:
                whole.append((b"content-encoding", encoding.encode()))
            heads = self._heads[encoding] = ([*unchanged, *whole], unchanged)
        return heads

    @property
    def size_bytes(self) -> int:
        """An upper bound of what is held: encoded bodies are smaller than the body itself."""
        return 3 * len(self.body) + 512


def encode(body: bytes, encoding: str) -> bytes:
    """`body` as gzip (without a time stamp, so that equal bodies give equal bytes) or zstd."""
    if encoding == "gzip":
        return gzip.compress(body, GZIP_LEVEL, mtime=0)
    assert encoding == "zstd"
    return zstandard.ZstdCompressor(level=ZSTD_LEVEL).compress(body)


class AnswerCache:
    """Finished answers, least recently used first out, bounded in bytes. One thread uses it."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._bytes = 0
        self._answers: OrderedDict[AnswerKey, Answer] = OrderedDict()

    def get(self, key: AnswerKey) -> Answer | None:
        """The answer, if it is still held."""
        answer = self._answers.get(key)
        if answer is not None:
            self._answers.move_to_end(key)
        return answer

    def put(self, key: AnswerKey, answer: Answer) -> None:
        """Hold an answer; one that is larger than the whole cache is not held."""
        if key in self._answers or answer.size_bytes > self._bytes_max:
            return
        self._answers[key] = answer
        self._bytes += answer.size_bytes
        while self._bytes > self._bytes_max:
            _, oldest = self._answers.popitem(last=False)
            self._bytes -= oldest.size_bytes


class CallTimes:
    """When each meeting was last asked for, for Webex's rule of one call in five minutes."""

    def __init__(self) -> None:
        self._times: OrderedDict[tuple[str, str], int] = OrderedDict()

    def wait_ms(self, key: tuple[str, str], now_ms: int, every_ms: int) -> int:
        """0 and the call is noted, or how long to wait."""
        last = self._times.get(key)
        if last is not None and now_ms - last < every_ms:
            return every_ms - (now_ms - last)
        self._times[key] = now_ms
        self._times.move_to_end(key)
        while len(self._times) > CALLS_MAX:
            self._times.popitem(last=False)
        return 0


class RecentCalls:
    """The times of the last calls of a kind, to allow so many of them in a span of time."""

    def __init__(self, calls_max: int, *, span_ms: int) -> None:
        self._times: deque[int] = deque(maxlen=calls_max)
        self._span_ms = span_ms

    def wait_ms(self, now_ms: int) -> int:
        """0 and the call is noted, or how long to wait."""
        if len(self._times) == self._times.maxlen:
            wait_ms = self._times[0] + self._span_ms - now_ms
            if wait_ms > 0:
                return wait_ms
        self._times.append(now_ms)
        return 0
