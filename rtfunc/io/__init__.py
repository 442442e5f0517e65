"""Files: safetensors, and PyTorch's `.pth` without PyTorch, as NumPy arrays in plain containers.

`safetensors` reads and writes dictionaries of arrays; `torch_reader` and `torch_writer` read and write what
`torch.save` and `torch.load` do. A bad file of any kind raises `FileFormatError`, and nothing in a file is
ever executed.
"""

from rtfunc.io.files import FileFormatError as FileFormatError
