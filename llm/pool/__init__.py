"""Who may use which loaded model, now."""

from .model_handle import ModelHandle
from .model_pool import ModelPool
from .report import ModelStatistics, PoolStatistics

__all__ = ["ModelHandle", "ModelPool", "ModelStatistics", "PoolStatistics"]
