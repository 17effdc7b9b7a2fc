"""Signals that end a process, and its cleanup."""

from __future__ import annotations

import os
import signal

import pytest

from jacobench.bench.machine.interrupts import ENDING, CleanupStack, interrupt_on_signals


@pytest.mark.parametrize("number", ENDING)
def test_the_first_signal_interrupts_and_the_cleanup_ends(number):
    for each in ENDING:
        signal.signal(each, signal.SIG_DFL)  # nohup ignores SIGHUP, also for the processes that it starts
    signal.signal(signal.SIGINT, signal.default_int_handler)
    interrupt_on_signals()
    undone = []
    undo = CleanupStack()
    undo.callback(undone.append, "folder")
    for each in ENDING:
        undo.callback(os.kill, os.getpid(), each)
    with pytest.raises(KeyboardInterrupt), undo:
        os.kill(os.getpid(), number)
    assert undone == ["folder"]
    assert {signal.getsignal(each) for each in ENDING} == {signal.SIG_IGN}


def test_a_signal_that_is_ignored_stays_so_and_handlers_are_restored():
    for each in ENDING:
        signal.signal(each, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    interrupt_on_signals()
    assert [signal.getsignal(each) for each in ENDING[1:]] == [signal.SIG_IGN] * len(ENDING[1:])
    before = signal.getsignal(signal.SIGINT)
    with CleanupStack() as undo:
        undo.callback(os.kill, os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) == before != signal.default_int_handler
