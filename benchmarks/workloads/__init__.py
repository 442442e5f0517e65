"""The work itself: one module per contestant, the same programs in each, as its users write them.

`WORKLOADS` maps the catalogue's names to functions that make the inputs, from `inputs`, and return
the call to measure; `wait(result)` returns when a result is there.
"""
