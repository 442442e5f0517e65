"""stop_gradient: the identity, as a constant to derivatives. Depends on `core`."""

from __future__ import annotations

from typing import Any

from rtfunc.core.primitive import Primitive, no_jvp, no_vjp


def _batch(primitive: Primitive, batch: Any, operands: Any, batch_axes: Any) -> Any:
    return primitive.bind(*operands), batch_axes[0]


stop_gradient_p = Primitive(
    "stop_gradient",
    infer=lambda x: x,
    impl=lambda xp, x: x,
    jvp=no_jvp,
    vjp=no_vjp,
    batch=_batch,
)
