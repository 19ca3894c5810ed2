"""torch's own table of modules, their inputs and their errors, without what its module does to the whole process."""

from __future__ import annotations

import pytest
import torch

pytest.importorskip("expecttest", reason="torch.testing._internal needs it")
from torch.testing._internal.common_modules import ModuleErrorEnum, module_db

# The import forbids to set flags of torch.backends, for torch's own tests; benchmarks here set some.
torch.backends.flags_frozen.__globals__["__allow_nonbracketed_mutation_flag"] = True
assert not torch.backends.flags_frozen()

__all__ = ["ModuleErrorEnum", "module_db"]
