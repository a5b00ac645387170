"""A configuration that the stages cannot use is refused."""

import pytest
from pydantic import ValidationError

from tiny_base.config import TinyBaseConfig


def test_a_generator_of_other_steps_is_refused_with_the_field() -> None:
    with pytest.raises(ValidationError, match=r"s2.upsampleRates=\(10, 8, 8\) must be \(1, 5, 8, 4, 4\)"):
        TinyBaseConfig(
            s2=TinyBaseConfig().s2.model_copy(update={"upsample_rates": (10, 8, 8), "upsample_kernels": (20, 16, 16)})
        )
