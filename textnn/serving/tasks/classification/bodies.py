"""What a classifier is asked, beside texts."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field


class ExplainRequest(BaseModel):
    """A text, and of which class to explain the probability."""

    model_config = ConfigDict(strict=True, extra="forbid")
    text: Annotated[str, Field(description="A text.")]
    label: Annotated[Any, Field(description="A class of the model; by default the predicted one.")] = None
    method: Annotated[
        str, Field(description="By what method; 'auto' takes the one that suits the model.", max_length=40)
    ] = "auto"
