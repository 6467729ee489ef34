"""Reads the matrix of labelled rows that `outbid model rows` writes (layout: src/store/models/rows.rs).

Invariant: nothing is hashed or transformed here; the slots are those that serving makes.
"""

import json
from dataclasses import dataclass

import numpy as np

HEADER_BYTES = 32_768
PREFIX = 6
UNUSED = 0xFFFF_FFFF


@dataclass(frozen=True)
class Feature:
    name: str
    group: str
    kind: str
    pool: str | None
    max: int | None
    buckets: int | None
    dims: int | None
    slot: int
    column: int
    sensitive: bool

    @property
    def has_table(self):
        return self.kind != "number" and not self.sensitive

    @property
    def width(self):
        return 0 if self.sensitive else 1 if self.kind == "number" else self.dims


@dataclass(frozen=True)
class Rows:
    """R labelled impressions in order of time. `context` u32[R, S], `candidates` u32[M, T], `candidate` u32[R] indexes the latter."""

    header: dict
    features: list
    context: np.ndarray
    candidates: np.ndarray
    candidate: np.ndarray
    click: np.ndarray
    conversion: np.ndarray
    weight: np.ndarray
    law_click: np.ndarray
    law_conversion: np.ndarray

    def group(self, name):
        return [feature for feature in self.features if feature.group == name]

    def columns(self, name):
        return sum(feature.width for feature in self.group(name))


def read(path):
    with open(path, "rb") as file:
        header = json.loads(file.read(HEADER_BYTES))
    if header["format"] != "outbid-rows-1":
        raise SystemExit(f"{path}: format is {header['format']!r}; must be 'outbid-rows-1'")
    words = np.memmap(path, dtype="<u4", mode="r", offset=HEADER_BYTES)
    width = PREFIX + header["context_slots"]
    count = header["rows"] * width
    rows = words[:count].reshape(header["rows"], width)
    candidates = np.array(words[count:]).reshape(header["candidates"], header["candidate_slots"])
    order = np.argsort(rows[:, 0], kind="stable")
    rows = rows[order]
    prefix = np.array(rows[:, :PREFIX])
    return Rows(
        header=header,
        features=[Feature(**feature) for feature in header["features"]],
        context=rows[:, PREFIX:],
        candidates=candidates,
        candidate=prefix[:, 1],
        click=(prefix[:, 2] & 1).astype(np.float32),
        conversion=(prefix[:, 2] >> 1 & 1).astype(np.float32),
        weight=prefix[:, 3].copy().view("<f4"),
        law_click=prefix[:, 4].copy().view("<f4"),
        law_conversion=prefix[:, 5].copy().view("<f4"),
    )
