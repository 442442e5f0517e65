"""Files: safetensors for any pytree, checkpoints of a training, and PyTorch's `.pth` without PyTorch.

    io.save(params, "model.safetensors")
    params = io.load("model.safetensors")
    params, state = io.load_state_dict(io.load_torch("resnet18.pth"), params, state)

    checkpointer = io.Checkpointer("checkpoints", keep=3)
    checkpointer.save(step, {"params": params, "optimizer": moments}, loader=loader)

`trees` has `save` and `load`, `torch_files` PyTorch's files, `state_dict` its names, `checkpoints`
the Checkpointer. Beneath them are codecs at the level of NumPy: `safetensors`, `torch_reader` and
`torch_writer`. A bad file of any kind raises `FileFormatError`, and nothing in a file is ever
executed.
"""

from rtfunc.io.checkpoints import Checkpoint as Checkpoint
from rtfunc.io.checkpoints import Checkpointer as Checkpointer
from rtfunc.io.files import FileFormatError as FileFormatError
from rtfunc.io.state_dict import load_state_dict as load_state_dict
from rtfunc.io.state_dict import state_dict as state_dict
from rtfunc.io.torch_files import load_torch as load_torch
from rtfunc.io.torch_files import save_torch as save_torch
from rtfunc.io.trees import load as load
from rtfunc.io.trees import read_metadata as read_metadata
from rtfunc.io.trees import save as save
