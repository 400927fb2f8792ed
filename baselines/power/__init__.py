"""What the judgement can see, and how often it cries wolf: simulated, by the judgement itself.

draws.py makes sessions up or draws them from stored ones, gate.py has the gate judge
them, rivals.py has other tools' rules judge the same, scenarios.py says what is
simulated and what is promised of it, stored.py what a rig's own sessions allow.
"""
