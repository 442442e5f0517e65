"""The fine-tuning example: a PyTorch file in, a better network out."""

import numpy as np
import pytest

from rtfunc import io, nn, random
from rtfunc.data.sources import digits
from rtfunc.examples import finetune as example


def test_it_makes_a_file_learns_from_it_and_writes_another(tmp_path, capsys):
    assert example.main(["--output", str(tmp_path)]) == 0
    text = capsys.readouterr().out
    shares = [float(part.split("%")[0].split()[-1]) for part in text.split("\n") if "%" in part]
    scratch, tuned = shares
    assert tuned > scratch
    assert tuned > 75
    weights = io.load_torch(tmp_path / "digits-5-to-9.pth")
    params, state = io.load_state_dict(weights, *example.model.init(random.key(9), (1, 8, 8)))
    test_data = example.of_classes(digits("test"), 5)
    assert example.accuracy(params, state, test_data) * 100 == pytest.approx(tuned, abs=0.06)
    first = io.load_torch(tmp_path / "digits-0-to-4.pth")
    assert list(first) == list(weights)


def test_a_file_that_is_none_ends_with_a_message(tmp_path, capsys):
    path = tmp_path / "weights.pth"
    path.write_bytes(b"no weights")
    options = ["--weights", str(path), "--output", str(tmp_path), "--epochs", "1"]
    assert example.main(options) == 1
    assert "Cannot read the weights: " in capsys.readouterr().out
    assert example.main(["--weights", "nowhere.pth", *options[2:]]) == 1


def test_classes_are_chosen_and_numbered_anew():
    few = example.of_classes(digits("train"), 5, per_class=3)
    assert np.bincount(few.arrays[1]).tolist() == [3] * 5


@pytest.mark.oracle
def test_files_of_pytorch_are_taken_and_made(tmp_path):
    torch = pytest.importorskip("torch")
    t = torch.nn
    network = t.Sequential(
        t.Sequential(
            t.Unflatten(1, (1, 8)),
            t.Conv2d(1, 32, 3, padding=1), t.BatchNorm2d(32), t.ReLU(), t.MaxPool2d(2),
            t.Conv2d(32, 64, 3, padding=1), t.BatchNorm2d(64), t.ReLU(), t.Flatten(),
        ),
        t.Linear(1024, 5),
    )  # fmt: skip
    path = tmp_path / "torch.pth"
    torch.save(network.state_dict(), path)
    params, state = io.load_state_dict(
        io.load_torch(path), *example.model.init(random.key(0), (1, 8, 8))
    )
    images = digits("test").arrays[0]
    expected = network.eval()(torch.from_numpy(images.copy())).detach()
    # float32 sums of up to 1024 products in another order.
    np.testing.assert_allclose(example.model.apply(params, state, images)[0], expected, atol=1e-5)
    io.save_torch(nn.state_dict(params, state), path)
    network.load_state_dict(torch.load(path, weights_only=True))
