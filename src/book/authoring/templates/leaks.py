"""The experiments of the chapter CHAPTER cannot leak."""

from src.PART.CHAPTER import MODULES
from src.PART.CHAPTER.experiments import mean_squared_error
from tests.leaks.suite import Experiment, suite

SMALLEST = {"evaluations": 8, "repeats": 4}
# One line for each experiment; see tests/leaks/suite.py for what else a line can say.
EXPERIMENTS = [
    # LINE BEGINS
    Experiment(mean_squared_error, SMALLEST | {"estimator": MODULE.antithetic_mean}),
    # LINE ENDS
]
test_experiments = suite(EXPERIMENTS)
