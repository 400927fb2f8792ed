"""python -m baselines refresh: new baselines from fresh processes.

Each session is a pytest process of its own through the gate's own code path, judged
against physics and bands. Against the baselines that they replace all sessions are
compared together, by their mean (worse.py), before anything is stored. A run that failed
is never stored, nor is what was picked from beside it.
"""
