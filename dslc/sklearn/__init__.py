"""Networks as estimators of scikit-learn.

>>> from dslc.sklearn import NetClassifier
>>> NetClassifier(hidden=(64, 32)).fit(x, y).predict(x)
"""

from __future__ import annotations

try:
    from sklearn.utils.validation import validate_data as _  # noqa: F401
except ImportError:
    raise ImportError("dslc.sklearn needs scikit-learn 1.6 or later: pip install 'dslc[sklearn]'") from None

from dslc.sklearn.classifier import NetClassifier
from dslc.sklearn.regressor import NetRegressor

__all__ = ["NetClassifier", "NetRegressor"]
