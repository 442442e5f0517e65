"""The GPU back end: Kernels as CUDA C, compiled by NVRTC and launched through CuPy."""
