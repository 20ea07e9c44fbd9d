"""Meetings in progress and those who watch them."""
