"""Scripted meetings with known troubles: what the rules of `causes` are held against."""
