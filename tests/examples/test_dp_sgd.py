"""Differential privacy: the accountant against integrals, clipping, and a short training."""

import numpy as np
import pytest

from rtfunc import numpy as rnp
from rtfunc import optim
from rtfunc.data.sources import digits
from rtfunc.examples import dp_sgd as example
from rtfunc.examples.dp_sgd import ORDERS


@pytest.mark.parametrize(("share", "noise"), [(0.01, 1.0), (0.1, 2.0), (0.5, 5.0)])
def test_the_divergence_is_the_integral_of_its_definition(share, noise):
    """E over z ~ N(0, noise**2) of the density ratio to the power of the order."""
    z = np.linspace(-12 * noise, 12 * noise + 40, 400_001)
    log_density = -((z / noise) ** 2) / 2 - np.log(noise * np.sqrt(2 * np.pi))
    log_ratio = np.logaddexp(np.log1p(-share), np.log(share) + (2 * z - 1) / (2 * noise**2))
    found = example.renyi_divergence(share, noise)
    for order in (2, 3, 8, 16):
        integral = np.trapezoid(np.exp(log_density + order * log_ratio), z)
        expected = np.log(integral) / (order - 1)
        assert found[order - 2] == pytest.approx(expected, rel=1e-6)  # of the trapezoidal rule


def test_with_every_example_in_every_step_it_is_the_gaussian_mechanism():
    np.testing.assert_allclose(example.renyi_divergence(1.0, 3.0), ORDERS / 18, rtol=1e-12)


def test_epsilon_of_a_published_setting():
    """Abadi et al., section 5: share 0.01, noise 4, delta 1e-5, 10,000 steps: 1.26.

    By their bound of moments; the conversion of Balle et al. is tighter, by less than a fifth.
    """
    assert 1.0 < example.epsilon_after(10_000, 0.01, 4.0, 1e-5) < 1.26


def test_epsilon_grows_with_steps_and_falls_with_noise():
    assert example.epsilon_after(10, 0.1, 2, 1e-5) < example.epsilon_after(20, 0.1, 2, 1e-5)
    assert example.epsilon_after(10, 0.1, 3, 1e-5) < example.epsilon_after(10, 0.1, 2, 1e-5)


def test_gradients_are_limited_and_small_ones_stay():
    big = example.clipped({"a": rnp.array([3.0, 4.0]), "b": rnp.array(12.0)}, 2.0)
    assert float(optim.global_norm(big)) == pytest.approx(2.0, rel=1e-6)
    small = example.clipped({"a": rnp.array([0.3, 0.4])}, 2.0)
    np.testing.assert_array_equal(small["a"], np.float32([0.3, 0.4]))


def test_without_noise_the_gradient_is_the_sum_of_clipped_ones():
    images, labels = (a[:6] for a in digits("train").arrays)
    params, state = example.model.init(example.random.key(0), (1, 8, 8))
    chosen = np.float32([1, 1, 0, 1, 0, 0])

    def private(images, labels, chosen):
        key = example.random.key(1)
        return example.private_gradient(params, state, key, images, labels, chosen, 0.5, 0.0, 2.0)

    together = private(images, labels, chosen)
    total = 0.0
    for i in (0, 1, 3):
        single = private(images[i : i + 1], labels[i : i + 1], np.float32([1]))
        assert float(optim.global_norm(single)) <= 0.25 * (1 + 1e-5)
        total = total + single["1"]["weight"]
    np.testing.assert_allclose(together["1"]["weight"], total, atol=1e-6)  # float32


def test_it_learns_and_draws(tmp_path, capsys):
    assert example.main(["--output", str(tmp_path), "--steps", "60"]) == 0
    text = capsys.readouterr().out
    assert float(text.split("Accuracy: ")[1].split("%")[0]) > 60
    pytest.importorskip("matplotlib")
    assert (tmp_path / "privacy.png").read_bytes().startswith(b"\x89PNG")


def test_batches_beyond_the_data_are_refused(tmp_path, capsys):
    with pytest.raises(SystemExit):
        example.main(["--output", str(tmp_path), "--batch-size", "5000"])
    assert "--batch-size is at most 1442 and --delta below 1" in capsys.readouterr().err
