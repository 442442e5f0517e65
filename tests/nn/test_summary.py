"""The summary: paths, shapes, numbers of parameters and operations."""

from rtfunc import nn
from rtfunc import numpy as rnp
from rtfunc.core.aval import Aval
from rtfunc.nn.summary import count_flops
from rtfunc.transforms.stage import make_graph


def test_rows_are_the_layers_without_parts_in_order():
    block = nn.residual(nn.sequential({"fc": nn.dense(4), "norm": nn.batch_norm()}))
    model = nn.sequential(nn.dense(4), block, nn.dropout(0.5))
    table = nn.summary(model, (2, 3))
    paths = [row.path for row in table.rows]
    assert paths == ["0", "1.fc", "1.norm", "1.downsample", "2"]
    assert [row.parameters for row in table.rows] == [16, 20, 8, 0, 0]
    assert table.parameters == 44
    assert table.state == 9
    assert table.output == Aval((2, 4), "float32")


def test_the_table_is_what_is_printed():
    text = str(nn.summary(nn.sequential(nn.dense(1000), nn.relu), (1, 2000)))
    lines = text.splitlines()
    assert lines[0].split() == ["layer", "output", "parameters", "flops"]
    assert lines[2].split() == ["0", "dense(1000)", "(1,", "1000)", "2,001,000", "4,001,000"]
    assert lines[-1].split()[0] == "total"
    assert repr(nn.summary(nn.dense(2), (1, 3))).endswith("8     14")


def test_a_single_layer_is_one_row():
    table = nn.summary(nn.dense(2), (5, 3))
    assert [(r.name, r.parameters, r.flops) for r in table.rows] == [("dense(2)", 8, 70)]


def test_several_inputs_and_outputs():
    table = nn.summary(nn.parallel(nn.dense(2), nn.relu), (1, 3), (1, 4))
    assert [r.path for r in table.rows] == ["0", "1"]
    assert "(1, 2), (1, 4)" in str(table)


def test_flops_of_loops_and_products():
    graph = make_graph(lambda x, y: (x @ y).sum())(rnp.ones((4, 5)), rnp.ones((5, 6)))
    assert count_flops(graph) == 2 * 4 * 5 * 6 + 4 * 6


def test_flops_of_spatial_layers():
    model = nn.sequential(
        nn.conv(8, 3, padding=1, groups=2),
        nn.max_pool(2),
        nn.conv_transpose(3, 2, stride=2, bias=False),
        nn.adaptive_avg_pool(1),
        nn.flatten,
    )
    table = nn.summary(model, (1, 4, 6, 6))
    assert [row.output.shape for row in table.rows] == [
        (1, 8, 6, 6),
        (1, 8, 3, 3),
        (1, 3, 6, 6),
        (1, 3, 1, 1),
        (1, 3),
    ]
    conv = 2 * (8 * 36) * (2 * 9) + 8 * 36  # products and sums, and the bias
    pool = (8 * 9) * 4
    transposed = 2 * (8 * 9) * (3 * 4)  # each input times the window of each output channel
    assert [row.flops for row in table.rows][:3] == [conv, pool, transposed]
    assert [row.parameters for row in table.rows] == [8 * 2 * 9 + 8, 0, 8 * 3 * 4, 0, 0]
