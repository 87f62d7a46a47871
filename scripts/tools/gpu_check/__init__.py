"""The parts of scripts/tools/gpu-check.

pack     what travels to the machine with the GPU
run      one process for each check, within the minutes
checks   the checks by name, their order and how long they take
context  what a check is given
llem     the program under test
correct  are the numbers right        doctor, kernels, parity, families, adapters, ranks
rates    how fast, for how many joules    peaks, speed, small, adapter-cost, energy
peers    transformers on the same card
"""
