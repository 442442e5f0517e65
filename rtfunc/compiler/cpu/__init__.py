"""The CPU back end: kernels as LLVM code, and the threads that run them."""
