"""The transforms of functions, over pytrees and with JAX's signatures: one module each.

They flatten arguments, run the traces of `rtfunc.core`, and put results back together.
"""
