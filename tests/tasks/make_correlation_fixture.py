"""Pearson's and Spearman's correlations by SciPy, for tests/tasks/correlation_test.cpp.

    pip install scipy numpy && python3 tests/tasks/make_correlation_fixture.py

writes tests/tasks/data/correlation.json: rows with and without ties, and SciPy's values.
"""
import json
import pathlib

import numpy
import scipy
from scipy import stats

random = numpy.random.default_rng(7)


def rows():
    for count in (2, 3, 10, 57):
        x = random.normal(size=count)
        yield "without ties", x, x + random.normal(size=count)
    # Five steps only, as the scores of annotators: many ties in one row and in both.
    x = random.integers(1, 6, size=40) / 2
    yield "ties in x", x, x + random.normal(size=40)
    yield "ties in both", x, numpy.round(x + random.normal(size=40))
    yield "one differs", numpy.array([1.0, 1, 1, 2]), numpy.array([3.0, 1, 2, 9])
    yield "falling", numpy.arange(6.0), -numpy.arange(6.0) ** 3
    yield "far from zero", 1e6 + random.normal(size=30), 1e6 + random.normal(size=30)


cases = [
    {
        "name": name,
        "x": x.tolist(),
        "y": y.tolist(),
        "ranks_of_x": stats.rankdata(x).tolist(),
        "pearson": float(stats.pearsonr(x, y)[0]),
        "spearman": float(stats.spearmanr(x, y)[0]),
    }
    for name, x, y in rows()
]
folder = pathlib.Path(__file__).parent / "data"
folder.mkdir(exist_ok=True)
lines = ",\n".join(json.dumps(case) for case in cases)
(folder / "correlation.json").write_text(
    f'{{"made_by": "SciPy {scipy.__version__}", "cases": [\n{lines}\n]}}\n')
