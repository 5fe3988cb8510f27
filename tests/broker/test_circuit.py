"""The circuit breaker: patient with a restart, quick with an outage."""

from __future__ import annotations

from broker.circuit import Circuit


def test_a_quick_restart_opens_nothing() -> None:
    circuit = Circuit()
    for attempt in range(20):
        circuit.failed(attempt * 0.02)
    assert not circuit.is_open
    circuit.succeeded()
    circuit.failed(10.0)
    circuit.failed(10.6)
    assert not circuit.is_open


def test_three_failures_over_half_a_second_open_it() -> None:
    circuit = Circuit()
    for now in (1.0, 1.2, 1.5):
        assert not circuit.is_open
        circuit.failed(now)
    assert circuit.is_open


def test_one_stall_opens_it_and_one_success_closes_it() -> None:
    circuit = Circuit()
    circuit.stalled()
    assert circuit.is_open
    circuit.succeeded()
    assert not circuit.is_open
