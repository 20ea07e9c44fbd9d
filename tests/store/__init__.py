"""Tests of the store: one contract for every engine, faults, blocks, random histories."""
