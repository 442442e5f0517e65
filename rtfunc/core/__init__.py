"""What a transform is: dtypes, array types, primitives and their rules, traces, graphs, errors.

Read in this order: `dtypes`, `aval`, `array`, `primitive`, `trace`, then the traces themselves
(`staging`, `reverse`, `forward`, `batching`) and the `graph` they produce or transform.
"""
