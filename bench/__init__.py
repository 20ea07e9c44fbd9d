"""Benchmarks of Roomtone beside what a user would write first, and beside nginx."""
