"""What is simulated, and what the gate is promised to do there."""

from baselines.policy import Policy
from baselines.power.draws import Noise, bimodal, heavy_tailed, normal
from baselines.power.kinds import APART, Creep, Modes, Month, Scenario, Steps, at_least, at_most

_DEVICE = Noise(within=0.001, between=normal(0.002))
_WALL_1 = Noise(within=0.01, between=normal(0.01))
_WALL_2 = Noise(within=0.01, between=normal(0.02))
_BIMODAL = Noise(within=0.01, between=bimodal(APART, 0.01))
_HEAVY = Noise(within=0.01, between=heavy_tailed(0.01))


def scenarios(policy: Policy) -> tuple[Scenario, ...]:
    """Device time by the policy's own floor; walls promise 5 %, and claim half of it."""
    device, wall = policy.min_effect, 0.025
    return (
        Steps(
            name="device: 0.2 % between, 5 sessions",
            noise=_DEVICE,
            sessions=5,
            floor=device,
            effects=((0.0, at_most(0.001)), (0.01, at_least(0.99)), (0.02, at_least(1.0))),
        ),
        Month(
            name="device: 0.2 % between, 5 sessions",
            noise=_DEVICE,
            sessions=5,
            floor=device,
            mean=at_most(0.5),
            quiet=at_least(0.9),
        ),
        Steps(
            name="wall: 1 % within, 1 % between, 10 sessions",
            noise=_WALL_1,
            sessions=10,
            floor=wall,
            effects=((0.0, at_most(0.005)), (0.05, at_least(0.95)), (0.1, at_least(0.99))),
        ),
        Steps(
            name="wall: 1 % within, 2 % between, 10 sessions",
            noise=_WALL_2,
            sessions=10,
            floor=wall,
            effects=((0.0, at_most(0.005)), (0.1, at_least(0.97))),
        ),
        Steps(
            name="bimodal host: 13 % apart, 10 sessions",
            noise=_BIMODAL,
            sessions=10,
            floor=wall,
            effects=((0.0, at_most(0.01)),),
        ),
        Modes(
            name="bimodal host: 13 % apart, 10 sessions",
            noise=_BIMODAL,
            calm=_WALL_1,
            sessions=10,
            floor=wall,
            said=at_least(0.99),
            wrongly=at_most(0.01),
        ),
        Steps(
            name="heavy tails: t with 3 degrees, 10 sessions",
            noise=_HEAVY,
            sessions=10,
            floor=wall,
            effects=((0.0, at_most(0.01)),),
        ),
        Creep(
            name="creep: 0.5 % a night at 1 % between, 10 sessions",
            noise=_WALL_1,
            sessions=10,
            floor=wall,
            a_night=0.005,
            nights=10,
            target=at_least(0.95),
        ),
    )
