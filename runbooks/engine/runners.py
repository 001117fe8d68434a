"""What carries out each kind of step that leads a run. One line here registers one."""

from runbooks.engine.at import Runner
from runbooks.engine.gates import run_gate
from runbooks.engine.manuals import run_manual
from runbooks.engine.waits import run_wait
from runbooks.steps.gate import Gate
from runbooks.steps.manual import Manual
from runbooks.steps.step import Step
from runbooks.steps.wait import Wait

RUNNERS: dict[type[Step], Runner] = {
    Gate: run_gate,
    Manual: run_manual,
    Wait: run_wait,
}
