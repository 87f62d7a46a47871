"""Checks of the experiments of other tools' methods: a module for each, named as the experiment.

`check(run_of)` runs the experiment and fails if what it reports does not follow from the record. `METERED` are parameters
without which it measures no energy, and `MEASURES_ENERGY` is false if it never does.
"""
