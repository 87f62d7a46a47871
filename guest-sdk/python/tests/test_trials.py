"""What is derived from trials: rates, joules, utilisation, goodput, carbon."""

from dataclasses import replace

import pytest
from fixtures import completion, generation, model, trials_lasting
from llem_sdk import (
    Completion,
    ElectricitySupply,
    Error,
    FinishReason,
    Generation,
    Goodput,
    Quantity,
    Request,
    ServiceLevels,
    Session,
    Source,
    Trial,
    Unavailable,
    group_by_label,
)


def alone(made: Generation) -> Trial:
    return Trial.from_generation(0, Request.from_tokens([0]), made)


def served(submitted: int, tokens: list[int]) -> Completion:
    """Creates a completion from its submission and token times in ms."""
    return Completion.from_token_times(submitted * 1_000_000, [at * 1_000_000 for at in tokens])


def test_a_sequence_without_tokens_does_not_change_the_decode_rate() -> None:
    made = generation(0, 2_000_000_000)
    energy = Quantity.exact(8.0, "J", Source.DERIVED)
    trial = alone(
        replace(
            made,
            completions=tuple(map(completion, [5, 0, 0])),
            measurement=replace(made.measurement, energy_decode=energy),
        )
    )
    joules, rate = trial.decode_joules_per_token(), trial.decode_rate()
    assert joules == Quantity.exact(2.0, "J/{token}", Source.DERIVED)
    assert rate is not None
    assert rate.value == pytest.approx(2.0, rel=1e-12)
    assert rate.unit == "{token}/s"


def test_a_batched_request_has_its_own_latencies_but_no_energy() -> None:
    one = replace(completion(3), submitted=1_000, token_times=(2_000, 5_000, 6_000))
    trial = Trial.from_completions(7, Request.from_tokens([0], label="one"), [one])
    assert (trial.began(), trial.ended()) == (1_000, 6_000)
    assert trial.ttft() == [pytest.approx(1e-6)]
    assert trial.itl() == pytest.approx([3e-6, 1e-6])
    assert one.tpot() == pytest.approx(2e-6)
    assert one.e2el() == pytest.approx(5e-6)
    reason = trial.joules_per_output_token()
    assert isinstance(reason, Unavailable)
    assert "'one' ran in a continuous batch" in reason.reason
    assert trial.decode_rate() is None
    with pytest.raises(Error, match="continuous batch"):
        _ = trial.generation
    assert trials_lasting([1.0])[0].generation.measurement.wall_time == 1_000_000_000


def test_half_the_peak_rate_is_an_mfu_of_one_half() -> None:
    made = generation(0, 2_000_000_000)
    activity = replace(made.measurement.activity, flops_decode=1e12)
    trial = alone(replace(made, measurement=replace(made.measurement, activity=activity)))
    peak = Quantity.exact(1e12, "FLOP/s", Source.DATASHEET)
    for ranks, expected in [(1, 0.5), (2, 0.25)]:
        mfu = trial.decode_mfu(peak, ranks)
        assert mfu is not None
        assert mfu.value == pytest.approx(expected, rel=1e-12)
        assert mfu.unit == "1"
    assert trial.prefill_mfu(peak, 1) is None


def test_decode_reads_its_weights_and_the_cache_at_each_step() -> None:
    made = replace(generation(0, 2_000_000_000), completions=())
    bandwidth = Quantity.exact(2030.0, "By/s", Source.DATASHEET)
    assert alone(made).decode_mbu(model(), bandwidth) is None, "there was no decode"
    # Two steps after prefill: the weights twice, and the keys and values of 11 and 12 tokens. 2030 bytes in 2 s.
    trial = alone(replace(made, completions=(completion(3),)))
    for ranks, expected in [(1, 0.5), (2, 0.25)]:
        mbu = trial.decode_mbu(model(ranks), bandwidth)
        assert mbu is not None
        assert mbu.value == pytest.approx(expected, rel=1e-12)
    assert trial.decode_mbu(model(experts=8), bandwidth) is None


def test_a_sequence_must_meet_all_levels_inclusively() -> None:
    levels = ServiceLevels(ttft=10.0, tpot=5.0, e2el=20.0)
    assert levels.are_met_by(served(0, [10, 15, 20]))
    assert not levels.are_met_by(served(0, [11, 15, 20])), "its first token is late"
    assert not levels.are_met_by(served(0, [8, 20])), "its second is 12 ms after it"
    assert not levels.are_met_by(served(0, [10, 15, 20, 25])), "its last is late"
    assert levels.are_met_by(served(0, [10])), "TPOT of one token is 0"
    assert not levels.are_met_by(served(0, [])), "what has no token was not served"
    assert not levels.are_met_by(replace(served(0, [1]), finish=FinishReason.CANCELLED))


def test_goodput_counts_sequences_that_meet_their_levels_over_the_whole_time() -> None:
    goodput = Goodput(ServiceLevels(ttft=10.0))
    assert goodput.rate(Session()) is None, "nothing was asked"
    for submitted, tokens in [(100, [105, 110]), (300, [311, 320]), (500, [510, 600])]:
        goodput.observe(Trial.from_completions(0, Request.from_tokens([0]), [served(submitted, tokens)]))
    # Two of three, from 100 ms to 600 ms.
    [metric] = goodput.derive(model(), Session())
    assert metric.quantity.value == pytest.approx(4.0, rel=1e-12)
    assert (metric.name, metric.quantity.unit) == ("request_goodput", "{request}/s")


def test_carbon_and_cost_are_of_the_energy_of_the_building() -> None:
    supply = ElectricitySupply.new(400.0, 1.5).with_price(0.3, "EUR")
    energy = Quantity(3.6e6, 3.6e4, "J", Source.NVML_COUNTER)
    carbon, cost = supply.carbon(energy), supply.cost(energy)
    assert carbon is not None
    assert cost is not None
    assert [carbon.value, carbon.uncertainty] == pytest.approx([600.0, 6.0])
    assert (carbon.unit, carbon.source) == ("g", Source.MODELLED)
    assert cost.value == pytest.approx(0.45)
    assert cost.unit == "EUR"
    assert supply.carbon(Quantity.exact(1.0, "W", Source.SENSOR)) is None
    assert ElectricitySupply.new(400.0, 1.5).cost(energy) is None


def test_groups_are_in_the_order_of_first_appearance() -> None:
    trials = [Trial.from_completions(0, Request.from_text("", label=label), []) for label in ("b", "a", "b")]
    assert {label: len(group) for label, group in group_by_label(trials).items()} == {"b": 2, "a": 1}
    assert list(group_by_label(trials)) == ["b", "a"]


def test_a_word_of_a_later_contract_is_kept() -> None:
    assert FinishReason("eos") is FinishReason.EOS
    assert FinishReason("bored") == "bored"
    assert FinishReason("bored").name == "OTHER"
