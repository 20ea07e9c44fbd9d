"""The commands of `roomtone`, one module for each group; `roomtone.cli` names them all."""
