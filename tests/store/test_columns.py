"""Folding against a model that keeps every cell in a dictionary, and against cut-up sessions."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, structs

from roomtone.model import (
    COLUMNS,
    MediaSession,
    Resources,
    Stream,
    column_of,
    epoch_ms,
    iso_ms,
    sample_count,
)
from roomtone.store.columns import fold
from tests.store.support import MINUTE, S1, T0, exact, piece

values = st.one_of(
    st.none(),
    st.integers(0, 3),
    st.integers(0, 10**6),
    st.integers(0, 10**5).map(lambda n: n / 100),
)
columns = st.lists(values, max_size=4)


@st.composite
def entries(draw: Any) -> Stream:
    """An entry within a few minutes, on one of two intervals and phases."""
    interval = draw(st.sampled_from([60, 30]))
    start = T0 + draw(st.integers(0, 8)) * interval * 1000 + draw(st.sampled_from([0, 0, 0, 7]))
    drawn: dict[str, Any] = {name: draw(columns) for name in COLUMNS[:3]}
    entry = Stream(
        samplingInterval=interval,
        startTime=iso_ms(start),
        codec=draw(st.sampled_from(["", "opus", "opus", "PCMU"])),
        transportType=draw(st.sampled_from(["", "UDP", "UDP", "TCP"])),
        **drawn,
    )
    end = draw(st.sampled_from([None, 0, 1, 90_000]))
    if end is not None:
        entry.endTime = iso_ms(start + sample_count(entry) * interval * 1000 + end)
    return entry


def session(*found: Stream) -> MediaSession:
    made = piece(None)
    made.audioIn = list(found)
    return made


class Model:
    """The same rules, slowly: a dictionary of cells for each interval and phase."""

    def __init__(self) -> None:
        self.groups: dict[tuple[float, int], dict[int, dict[str, Any]]] = {}
        self.bare: dict[tuple[float, int], list[dict[str, Any]]] = {}

    def add(self, entry: Stream) -> None:
        period = int(entry.samplingInterval * 1000)
        first, phase = divmod(epoch_ms(entry.startTime), period)
        key = (entry.samplingInterval, phase)
        cells = self.groups.setdefault(key, {})
        count = sample_count(entry)
        end = epoch_ms(entry.endTime) if entry.endTime else (first + count) * period + phase
        about = {"codec": entry.codec, "transport": entry.transportType}
        if not count:
            self.bare.setdefault(key, []).append({"at": first, "end": end, **about})
        for offset in range(count):
            cell = cells.setdefault(first + offset, {"codec": "", "transport": "", "end": None})
            cell.update({name: text for name, text in about.items() if text})
            for name in COLUMNS:
                column = column_of(entry, name)
                if offset < len(column) and (column[offset] is not None or name not in cell):
                    cell[name] = column[offset]
        if count:
            last = cells[first + count - 1]
            last["end"] = max(end, last["end"] or end)
        self._settle(key, period, phase)

    def _settle(self, key: tuple[float, int], period: int, phase: int) -> None:
        """Make of the cells what would be read, so that the next entry meets that."""
        runs = self.runs(key, period, phase)
        left: list[dict[str, Any]] = []
        for bare in self.bare.get(key, []):
            near = [r for r in runs if r["start"] <= bare["at"] <= r["stop"] and _agree(r, bare)]
            if near:
                run = near[-1]
            else:
                same = [b for b in left if b["at"] == bare["at"] and _agree(b, bare)]
                if not same:
                    left.append(bare)
                    continue
                run = same[0]
            run["end"] = max(run["end"], bare["end"])
            run["codec"] = run["codec"] or bare["codec"]
            run["transport"] = run["transport"] or bare["transport"]
        self.bare[key] = left
        cells = self.groups[key] = {}
        for run in runs:
            for at in range(run["start"], run["stop"]):
                cell: dict[str, Any] = {name: run[name] for name in ("codec", "transport")}
                cell["end"] = run["end"] if at == run["stop"] - 1 else None
                for name in COLUMNS:
                    if at - run["start"] < len(run[name]):
                        cell[name] = run[name][at - run["start"]]
                cells[at] = cell

    def runs(self, key: tuple[float, int], period: int, phase: int) -> list[dict[str, Any]]:
        runs: list[dict[str, Any]] = []
        for at, cell in sorted(self.groups[key].items()):
            if not runs or runs[-1]["stop"] != at or not _agree(runs[-1], cell):
                runs.append({"start": at, "codec": "", "transport": "", "ends": [], "cells": []})
            run = runs[-1]
            run["stop"] = at + 1
            run["codec"] = run["codec"] or cell["codec"]
            run["transport"] = run["transport"] or cell["transport"]
            run["ends"] += [cell["end"]] if cell["end"] is not None else []
            run["cells"].append(cell)
        for run in runs:
            run["end"] = max(run.pop("ends"), default=run["stop"] * period + phase)
            found = run.pop("cells")
            for name in COLUMNS:
                length = max((k + 1 for k, cell in enumerate(found) if name in cell), default=0)
                run[name] = [cell.get(name) for cell in found[:length]]
        return runs

    def whole(self) -> list[Stream]:
        found: list[Stream] = []
        for key in self.groups:
            period, phase = int(key[0] * 1000), key[1]
            empty: dict[str, Any] = {name: [] for name in COLUMNS}
            bare = [{"start": b["at"], **empty, **b} for b in self.bare[key]]
            runs = (*self.runs(key, period, phase), *bare)
            found.extend(_served(run, key[0], period, phase) for run in runs)
        return sorted(found, key=_order)


def _served(run: dict[str, Any], interval: float, period: int, phase: int) -> Stream:
    return Stream(
        samplingInterval=interval,
        startTime=iso_ms(run["start"] * period + phase),
        endTime=iso_ms(run["end"]),
        codec=run["codec"],
        transportType=run["transport"],
        **{name: run[name] for name in COLUMNS},
    )


def _agree(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return all("" in (one[n], other[n]) or one[n] == other[n] for n in ("codec", "transport"))


def _order(entry: Stream) -> Any:
    return (
        entry.startTime,
        entry.samplingInterval,
        entry.codec,
        entry.transportType,
        entry.endTime,
    )


@given(st.lists(entries(), max_size=8))
def test_folding_agrees_with_a_dictionary_of_cells(found: list[Stream]) -> None:
    model = Model()
    for entry in found:
        model.add(entry)
    whole = fold([session(entry) for entry in found]) if found else session()
    assert exact(whole.audioIn) == exact(model.whole())


@given(st.lists(entries(), min_size=1, max_size=8), st.integers(1, 7))
def test_folding_in_steps_gives_what_folding_at_once_gives(found: list[Stream], cut: int) -> None:
    pieces = [session(entry) for entry in found]
    at_once = fold(pieces)
    if cut < len(pieces):
        in_steps = fold([fold(pieces[:cut]), *pieces[cut:]])
        assert exact(in_steps) == exact(at_once)
    assert exact(fold([at_once])) == exact(at_once)


@st.composite
def cuttings(draw: Any) -> tuple[MediaSession, list[MediaSession]]:
    """A true session and pieces that were cut out of it, some repeated, in any order."""
    count = draw(st.integers(1, 12))
    gap = draw(st.integers(0, 2))
    change = draw(st.integers(0, count))
    samples = []
    for k in range(count):
        start = T0 + (k + (gap if k >= change else 0)) * MINUTE
        samples.append(
            Stream(
                startTime=iso_ms(start),
                endTime=iso_ms(start + MINUTE),
                packetLoss=[draw(st.sampled_from([0.5, 0, 7]))],
                latency=[draw(st.one_of(st.none(), st.just(k)))],
                codec="VP8" if k < change else "AV1",
                transportType="UDP",
            )
        )
    order = draw(st.permutations(list(range(count)) + draw(st.lists(st.integers(0, count - 1)))))
    return session(*samples), [session(samples[k]) for k in order]


@given(cuttings())
def test_the_order_and_number_of_pieces_of_a_true_session_do_not_matter(
    cut: tuple[MediaSession, list[MediaSession]],
) -> None:
    true, pieces = cut
    whole = fold([true])
    assert exact(fold(pieces)) == exact(whole)
    assert exact(fold([whole, *pieces, whole])) == exact(whole)


@given(st.lists(columns, max_size=3), st.lists(columns, max_size=3))
def test_resources_without_a_time_merge_by_position(
    one: list[list[Any]], two: list[list[Any]]
) -> None:
    def piece_of(found: list[list[Any]]) -> MediaSession:
        made = piece(None)
        made.resources = [Resources(processMaxCPU=column) for column in found]
        return made

    whole = fold([piece_of(one), piece_of(two)])
    assert len(whole.resources) == max(len(one), len(two))
    for rank, entry in enumerate(whole.resources):
        first, second = (c[rank] if rank < len(c) else [] for c in (one, two))
        longer = max(len(first), len(second))
        padded = [c + [None] * (longer - len(c)) for c in (first, second)]
        assert entry.processMaxCPU == [
            b if b is not None else a for a, b in zip(*padded, strict=True)
        ]
        assert entry.startTime is UNSET


def test_a_folded_piece_shares_no_list_with_what_was_folded() -> None:
    one = piece(0, 3)
    whole = fold([one])
    whole.audioIn[0].latency.append(7)
    assert len(one.audioIn[0].latency) == 3


def test_an_entry_without_samples_is_kept_and_joins_what_touches_it() -> None:
    bare = Stream(startTime=iso_ms(T0 + MINUTE), codec="opus")
    assert fold([session(bare)]).audioIn == [structs.replace(bare, endTime=bare.startTime)]
    (joined,) = fold([session(bare), piece(0, session=S1)]).audioIn
    assert joined.latency == [40]
    assert sample_count(joined) == 1


def test_intervals_below_a_millisecond_are_exact() -> None:
    first = Stream(samplingInterval=0.0005, startTime=iso_ms(T0), latency=[1, 2])
    second = Stream(samplingInterval=0.0005, startTime=iso_ms(T0 + 1), latency=[3])
    (entry,) = fold([session(second), session(first)]).audioIn
    assert entry.latency == [1, 2, 3]
