# llvmlite ships no types, and inference takes its builder's methods, which decorators wrap, to return
# None. What comes from it is therefore not checked.
from typing import Any

def __getattr__(name: str) -> Any: ...
