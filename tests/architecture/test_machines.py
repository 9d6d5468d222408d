"""Every state machine: all states reachable and explained, every unstable state has an exit and a rule."""

import pytest

from portal.docs import machines


@pytest.mark.parametrize("machine", machines(), ids=lambda machine: machine.name)
class TestMachine:
    def test_states_are_reachable_and_explained(self, machine):
        reached, grew = {machine.initial}, True
        while grew:
            new = {t.target for t in machine.transitions.values() if t.sources & reached} - reached
            reached, grew = reached | new, bool(new)
        assert reached == set(machine.states)
        assert set(machine.meanings) == set(machine.states)

    def test_unstable_states_have_an_exit_and_a_rule(self, machine):
        for state, rule in machine.unstable.items():
            exits = [e for e, t in machine.transitions.items() if state in t.sources and t.target != state]
            assert exits or state in machine.ends, f"{state} has no way out"
            assert len(rule.split()) >= 4, f"{state} needs the rule that ends it"

    def test_only_what_is_under_way_ends_with_the_rows_removal(self, machine):
        assert machine.ends <= set(machine.unstable)

    def test_moves_are_between_known_states(self, machine):
        known = set(machine.states)
        for event, transition in machine.transitions.items():
            assert transition.sources <= known, event
            assert transition.target in known, event
