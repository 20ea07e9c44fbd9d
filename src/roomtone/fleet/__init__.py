"""Many meetings at once: rates and how sure they are, quantiles that merge, what stands out.

Pure: sessions and counts in, figures out; no store, no HTTP, no clock. docs/fleet.md has formulas.
"""
