"""Written scenarios: what happens outside, when, and where the machines must be in the end, reasoned by hand."""

import pytest

RULES = "rules detect_seconds=20 retry_seconds=30 quiet_seconds=0 lease_seconds=70 restart_every_seconds=10"
BASE = f"hosts a b c; vms x@a ha, y@a, z@b ha; {RULES}"
FIVE = f"hosts a b c d e; vms x@a ha, y@b ha, z@c; {RULES}"
WRITTEN = (
    ("calm", BASE, (), 100.0, "x@a y@a z@b"),
    ("a blink of the network", BASE, ((10.0, "cut a"), (20.0, "heal a")), 100.0, "x@a y@a z@b"),
    ("power lost", BASE, ((10.0, "off a"),), 100.0, "x@c y@- z@b"),
    ("power lost and back at once", BASE, ((10.0, "off a"), (20.0, "on a")), 100.0, "x@- y@- z@b"),
    ("a fenced host comes back clean", BASE, ((10.0, "cut a"), (70.0, "heal a")), 160.0, "x@c y@- z@b"),
    ("two of three silent", BASE, ((10.0, "cut a"), (10.0, "cut b")), 120.0, "x@a y@a z@b"),
    ("two of three silent, then one", BASE, ((10.0, "off a"), (10.0, "cut b"), (60.0, "heal b")), 150.0,
     "x@c y@- z@b"),
    ("all silent", BASE, ((10.0, "cut a"), (10.0, "cut b"), (10.0, "cut c")), 120.0, "x@a y@a z@b"),
    ("two of five lost", FIVE, ((10.0, "off a"), (10.0, "off b")), 140.0, "x@d y@e z@c"),
    ("three of five silent", FIVE, ((10.0, "off a"), (10.0, "off b"), (10.0, "cut c")), 140.0, "x@- y@- z@c"),
    ("confirmed by an admin", BASE + "; no-fence a", ((10.0, "off a"), (60.0, "confirm a")), 100.0, "x@c y@- z@b"),
    ("confirmed of a host that answers", BASE, ((10.0, "confirm a"),), 60.0, "x@a y@a z@b"),
    ("fenced by hand", BASE, ((10.0, "fence a"),), 60.0, "x@c y@- z@b"),
    ("fenced by hand without a device", BASE + "; no-fence a", ((10.0, "fence a"),), 60.0, "x@a y@a z@b"),
    ("in maintenance", BASE, ((10.0, "maintain a"), (20.0, "off a")), 120.0, "x@- y@- z@b"),
    ("fencing off", BASE + " fencing=false", ((10.0, "cut a"),), 120.0, "x@a y@a z@b"),
    ("rehearsal", BASE + " when_dead=rehearse", ((10.0, "off a"),), 120.0, "x@- y@- z@b"),
    ("managers away while a host dies", BASE, ((10.0, "managers down"), (20.0, "off a"), (90.0, "managers up")), 200.0,
     "x@- y@- z@b"),
    ("managers away, short grace", BASE + " startup_seconds=20",
     ((10.0, "managers down"), (20.0, "off a"), (90.0, "managers up")), 200.0, "x@c y@- z@b"),
    ("managers restarted in calm", BASE, ((10.0, "managers down"), (100.0, "managers up")), 160.0, "x@a y@a z@b"),
    ("clock two hours ahead", BASE, ((20.0, "jump 7200"),), 120.0, "x@a y@a z@b"),
    ("clock two hours back", BASE, ((20.0, "jump -7200"),), 120.0, "x@a y@a z@b"),
    ("clock ahead while a host is cut", BASE, ((10.0, "cut a"), (20.0, "jump 7200")), 100.0, "x@a y@a z@b"),
    ("database read-only", BASE, ((10.0, "database read-only"), (10.0, "off a")), 120.0, "x@- y@- z@b"),
    ("a guest crashes", BASE, ((10.0, "crash x"),), 60.0, "x@a y@a z@b"),
    ("a guest that is not HA crashes", BASE, ((10.0, "crash y"),), 60.0, "x@a y@- z@b"),
    ("a guest crashes over and over", BASE, tuple((10.0 + 30 * i, "crash x") for i in range(7)), 240.0, "x@- y@a z@b"),
    ("no longer HA while it waits", f"hosts a b; memory b=2; vms x@a ha g4, z@b; {RULES} power_on=false",
     ((10.0, "off a"), (70.0, "not-ha x")), 120.0, "x@- z@b"),
    ("no room", f"hosts a b; memory b=2; vms x@a ha g4, z@b; {RULES} power_on=false",
     ((10.0, "off a"),), 120.0, "x@- z@b"),
    ("room for the more important", f"hosts a b; memory b=4; vms x@a ha g3 p10, y@a ha g3 p90; {RULES} power_on=false",
     ((10.0, "off a"),), 120.0, "x@- y@b"),
    ("one at a time", f"hosts a b; vms u@a ha, v@a ha, w@a ha; {RULES} parallel_restarts=1", ((10.0, "off a"),), 150.0,
     "u@b v@b w@b"),
    ("a machine that was off stays off", f"hosts a b; vms x@a ha down, y@a ha; {RULES}", ((10.0, "off a"),), 100.0,
     "x@- y@b"),
    ("started by hand after the loss", BASE, ((10.0, "off a"), (80.0, "start y")), 120.0, "x@c y@b z@b"),
    ("the new host dies too", FIVE, ((10.0, "off a"), (100.0, "off d")), 220.0, "x@a y@b z@c"),
    ("a storage fault alone fences nobody", BASE, ((10.0, "cut-storage a"),), 120.0, "x@a y@a z@b"),
    ("worker dies before the power is cut", BASE, ((10.0, "off a"), (10.0, "kill-worker host.fence cut before")), 150.0,
     "x@c y@- z@b"),
    ("worker dies after the power was cut", BASE, ((10.0, "cut a"), (10.0, "kill-worker host.fence cut did")), 150.0,
     "x@c y@- z@b"),
    ("worker dies after settling", BASE, ((10.0, "off a"), (10.0, "kill-worker host.fence settle did")), 150.0,
     "x@c y@- z@b"),
)  # fmt: skip
SCENARIOS = {name: rest for name, *rest in WRITTEN}


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario(sim, name):
    """Faults F16, F18 to F23, F25, F27 and F42 of docs/faults.md."""
    setup, commands, until, ends = SCENARIOS[name]
    world = sim(setup)
    world.run_until(until, commands)
    assert world.ends() == ends, "\n".join(world.log)
