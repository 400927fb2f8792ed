"""What the judgement can see, and how often it cries wolf: simulated, by the judgement itself.

draws.py makes sessions up or draws them from stored ones, gate.py has the gate judge
them, rivals.py has other tools' rules judge the same, kinds.py holds the kinds of what is
simulated, scenarios.py what is simulated and promised of it, stored.py what a rig's own
sessions allow.
"""
