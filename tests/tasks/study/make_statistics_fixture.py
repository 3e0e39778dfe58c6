"""Intervals, paired tests and Holm's correction by SciPy and statsmodels, for
tests/tasks/study/statistics_test.cpp.

    pip install scipy statsmodels && python3 tests/tasks/study/make_statistics_fixture.py

writes tests/tasks/study/data/statistics.json: pairs of samples and rows of p-values, and what the
two packages say of them.
"""
import json
import pathlib

import numpy
import scipy
import statsmodels
from scipy import special, stats
from statsmodels.stats.multitest import multipletests

CONFIDENCES = (0.5, 0.95, 0.999)
random = numpy.random.default_rng(11)


def pairs():
    """name, a, b, and the differences that the permutation test counts."""
    for count in (2, 3, 5, 10, 18, 30):
        b = random.normal(size=count)
        a = b + 0.3 + random.normal(size=count)
        yield "small effect", a, b, a - b
        a = b + 0.7 + 0.9 * random.normal(size=count)
        yield "effect", a, b, a - b
    for count in (10, 18):
        b = random.normal(size=count)
        a = b - 3 + 0.1 * random.normal(size=count)
        yield "strong effect", a, b, a - b
    b = 1e6 + random.normal(size=10)
    a = b + random.normal(size=10)
    yield "far from zero", a, b, a - b
    # Percents, with many equal sums: in binary they are equal but for rounding. The permutation
    # test gets them as integers.
    for count in (5, 10, 18, 30):
        b = random.integers(60, 90, size=count)
        a = b + random.integers(-2, 5, size=count)
        yield "percents", a / 100, b / 100, (a - b).astype(float)


def sign_flip_p(d):
    """The exact p for any n up to about 40: the 2^n sums are those of two halves, added."""
    def sums(half):
        total = numpy.zeros(1)
        for value in half:
            total = numpy.concatenate([total + value, total - value])
        return total
    first, second = sums(d[: len(d) // 2]), numpy.sort(sums(d[len(d) // 2:]))
    least = abs(d.sum()) * (1 - 1e-12)
    if least == 0:
        return 1.0
    above = len(second) - numpy.searchsorted(second, least - first, side="left")
    below = numpy.searchsorted(second, -least - first, side="right")
    return float((above.sum() + below.sum()) / 2.0 ** len(d))


def permutation_p(d):
    exact = sign_flip_p(d)
    if len(d) <= 18:
        found = stats.permutation_test(
            (d, numpy.zeros_like(d)), lambda x, y, axis: (x - y).sum(axis=axis), vectorized=True,
            permutation_type="samples", n_resamples=numpy.inf, batch=4096)
        assert numpy.isclose(found.pvalue, exact, rtol=1e-12, atol=0), (found.pvalue, exact)
        exact = float(found.pvalue)
    return exact


def interval(x):
    """Half widths around 0, where subtracting the mean cannot cost digits."""
    error = stats.sem(x)
    return {
        "mean": float(numpy.mean(x)),
        "deviation": float(numpy.std(x, ddof=1)),
        "half_widths": [float(stats.t.interval(c, len(x) - 1, loc=0, scale=error)[1])
                        for c in CONFIDENCES],
    }


def case(name, a, b, counted):
    test = stats.ttest_rel(a, b)
    m = len(a) - 1
    d = float(numpy.mean(a - b) / numpy.std(a - b, ddof=1))
    factor = numpy.exp(special.gammaln(m / 2) - special.gammaln((m - 1) / 2)) / numpy.sqrt(m / 2)
    return {
        "name": f"{name}, n = {len(a)}",
        "a": a.tolist(),
        "b": b.tolist(),
        "interval_of_a": interval(a),
        "interval_of_difference": interval(a - b),
        "t": float(test.statistic),
        "t_p": float(test.pvalue),
        "permutation_p": permutation_p(counted),
        "cohen_d": d,
        "hedges_g": float(d * factor) if m > 1 else None,
    }


def rows_of_p():
    yield numpy.array([0.03])
    yield numpy.array([0.01, 0.04, 0.03, 0.005])
    yield numpy.array([0.02, 0.02, 0.02, 0.5, 0.5])
    yield numpy.array([0.0, 1.0, 0.3, 0.9])
    yield random.uniform(size=12)
    yield random.uniform(size=20) ** 4


cases = [case(*pair) for pair in pairs()]
holm = [{"p": p.tolist(), "adjusted": multipletests(p, method="holm")[1].tolist()}
        for p in rows_of_p()]
folder = pathlib.Path(__file__).parent / "data"
folder.mkdir(exist_ok=True)
case_lines = ",\n".join(json.dumps(entry) for entry in cases)
holm_lines = ",\n".join(json.dumps(entry) for entry in holm)
(folder / "statistics.json").write_text(
    f'{{"made_by": "SciPy {scipy.__version__}, statsmodels {statsmodels.__version__}",\n'
    f'"confidences": {json.dumps(CONFIDENCES)},\n'
    f'"cases": [\n{case_lines}\n],\n"holm": [\n{holm_lines}\n]}}\n')
