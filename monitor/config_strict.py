"""What all parts of the configuration have in common."""

from pydantic import BaseModel, ConfigDict


class Strict(BaseModel):
    """Nothing is converted, nothing unknown is taken, nothing changes, no value is shown."""

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
    )
