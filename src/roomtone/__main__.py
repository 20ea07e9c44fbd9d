"""`python -m roomtone` is the command `roomtone`."""

from roomtone.cli import main

main()
