"""This project and its peers on the same work, in one run: `python -m benchmarks`.

`catalogue` lists what is measured, who takes part and the aims; `workloads` has the programs, one
module for each contestant; `contest` measures, through one `worker` process per contestant;
`report` prints, writes and draws. The modules beside them measure single parts of the package.
"""
