"""The pages of Roomtone and the collector that other pages import."""
