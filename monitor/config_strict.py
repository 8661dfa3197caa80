"""The base of all parts of the configuration."""

from pydantic import BaseModel, ConfigDict


class Strict(BaseModel):
    """Values are not converted, unknown keys are refused, nothing can be changed, errors show no value."""

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
    )
