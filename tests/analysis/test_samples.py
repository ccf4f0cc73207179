import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentmem_observe.analysis.samples import SAMPLES_BEYOND, fewest_samples_for


@pytest.mark.parametrize(
    ("quantile", "count"),
    [(0.5, 20), (0.9, 100), (0.95, 200), (0.99, 1000), (0.999, 10_000), (0.9999, 100_000)],
)
def test_ten_samples_lie_beyond_the_quantile(quantile: float, count: int) -> None:
    assert fewest_samples_for(quantile) == count


def test_a_low_quantile_needs_as_many_as_its_mirror_image() -> None:
    assert fewest_samples_for(0.01) == fewest_samples_for(0.99)


def test_a_hundred_operations_have_no_p99_9() -> None:
    assert fewest_samples_for(0.999) > 100


@given(st.decimals(min_value="0.001", max_value="0.999", places=3))
def test_it_is_the_smallest_such_count(quantile: object) -> None:
    exact = quantile

    count = fewest_samples_for(float(exact))  # type: ignore[arg-type]  # a Decimal

    thin = min(exact, 1 - exact)  # type: ignore[operator, type-var]  # a Decimal
    assert count * thin >= SAMPLES_BEYOND > (count - 1) * thin


@pytest.mark.parametrize("quantile", [0.0, 1.0, -0.5, 99.0, float("nan")])
def test_a_quantile_is_a_share(quantile: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        fewest_samples_for(quantile)
