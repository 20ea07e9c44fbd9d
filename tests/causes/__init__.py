"""Tests of the rules that find causes."""
